"""The content store: bytes by their SHA-256, each kept once, never changed.

`spool` takes bytes in on this machine, `store` decides what becomes of them, and a shelf is where whole content lies: a
folder, or a bucket of an object storage. A shelf judges nothing; whatever it gives back is hashed again.
"""
