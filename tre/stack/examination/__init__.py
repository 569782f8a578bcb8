"""What a cluster and the servers beside it lack for running tre: `tre doctor --cluster`, and each pod's first words.

Each subject has a part that looks (thin, over the network) and one that judges what was seen (pure). What is wrong is
named by the key of the chart's values, for that is where it is mended.
"""
