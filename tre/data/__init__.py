"""Safe data: dataset register, grants, pinned extracts with pseudonyms, and what a workspace sees."""
