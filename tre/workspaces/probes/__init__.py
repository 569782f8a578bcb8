"""Isolation that proves itself: attempts to leave a workspace, made from inside, and verdicts on them.

`inside` is what runs in the workspace; `targets` opens what the attempts aim at, so that a missing wall is really seen;
`verify` runs them and judges; `ending` makes those that end a workspace, in one of `nobody`; `pulse` asks whether
others still answer. Attempts through the guard are `tre.door.probes`'.
"""
