"""The pages people meet in a browser: server-rendered, without scripts, usable with the keyboard alone.

A page asks services and draws what they answer; it decides nothing. Buttons appear where a rule's `can_x` says yes, and
the service asks the rule again when they are pressed.
"""
