"""Servers as an institution has them before anybody prepared anything."""
