"""How a person reaches a workspace: the guard, the Hub's parts, the intake.

Decides nothing about people or projects: it asks the internal API.
"""
