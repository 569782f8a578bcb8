"""The control plane's HTTP edge: JSON for the command line and machines, and the internal API for the door.

Parses, calls one service, translates errors. Decides nothing.
"""
