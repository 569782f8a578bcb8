"""Safe projects: proposal, decision, agreement, gate, clocks, suspension and closing."""
