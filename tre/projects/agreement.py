"""The agreement that every member accepts before a workspace opens: a fixed text with a version, known by its digest.

Decides which text is in force. The text is the same for every project, so that a share is not a snowflake; what
differs (datasets, columns, end date) stands in the project itself.
"""

from __future__ import annotations

import hashlib

VERSION = "2026-1"
TEXT = """\
1. I use the data only for the purpose of this project, and only inside its workspace.
2. I do not try to learn who anybody in the data is, and I do not link the data with anything that the project does
not name.
3. Nothing leaves the workspace except by a release request. I do not photograph, copy out, or dictate data or results.
4. I describe every output truthfully, and answer the output checkers' questions.
5. I report at once anything that looks like a breach, my own mistakes included.
6. I know that what I do here is recorded, and that access ends with the project, my training, or my accreditation.
"""
DIGEST = hashlib.sha256(f"{VERSION}\n{TEXT}".encode()).hexdigest()
