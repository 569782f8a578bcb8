"""What an institution's own servers need before `helm install`: `tre prepare`.

Decides nothing that `databases`, `openbao` and the policies do not say for our own servers: here it is made at those of
others, or written down for who looks after them.
"""
