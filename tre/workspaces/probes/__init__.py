"""Isolation that proves itself: attempts to leave a workspace, made from inside, and verdicts on them.

`inside` is what runs in the workspace; `targets` opens what the attempts aim at, so that a missing wall is really seen;
`verify` runs them and judges. Attempts through the guard (spellings of paths) are made by `tre.door`.
"""
