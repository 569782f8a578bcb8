"""The way out through the door, tried: addresses that give out files, in every spelling, asked with a good session.

`spellings` writes the addresses, `raw` sends them byte for byte, `guard` asks and judges. What is tried from inside a
workspace is `tre.workspaces.probes`'.
"""
