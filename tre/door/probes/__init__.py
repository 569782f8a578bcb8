"""The way out through the door, tried: addresses that give out files, in every spelling, asked with a good session.

`spellings` writes the addresses, `raw` sends them byte for byte, `guard` asks and judges, as whom `owner` says. What
must not come out is laid from `inside` on one machine. On a cluster nobody runs anything inside a workspace: in a
guard's pod (`python -m tre.door.probes`) it is laid through the guard's own `contents`, and the control plane takes in
what was `told` there. What is tried from inside a workspace is `tre.workspaces.probes`'.
"""
