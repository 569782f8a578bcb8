"""Safe people: accounts, roles, organisations, accreditation and training, conflicts of interest, sign-in and
tokens.
"""
