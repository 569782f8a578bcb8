"""The three real servers and the migrations."""

from tre.stack.platform import control_plane, servers

PARTS = (*servers(), control_plane()[0])
