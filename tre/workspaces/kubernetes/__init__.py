"""Projects and workspaces on Kubernetes: what exists there, as whole objects, and what keeps it so.

Only `api` imports the package `kubernetes`, when a connection is made.
"""
