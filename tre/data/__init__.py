"""Safe data: dataset register, row filters, grants, pinned extracts with pseudonyms, and what a workspace sees of them."""
