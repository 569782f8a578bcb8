"""The demonstration: one real result from an approved project to a released file, seen from outside as people see it.

Speaks to the platform only through the `tre` command, HTTP through the proxy, and code in the notebook's kernel.
"""
