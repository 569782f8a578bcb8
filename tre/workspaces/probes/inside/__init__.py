"""Attempts that run inside a workspace. Standard library only; sent in as text, so that no file inside is trusted."""
