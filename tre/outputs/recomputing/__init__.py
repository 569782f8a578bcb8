"""What runs inside the checking sandbox to make declared tables again from the pinned data.

Uses output_checks and its libraries only, sees the project's extract read-only and nothing else, and may be taken down
by a hostile specification. Its answers are data for `tre.outputs.recomputed`.
"""
