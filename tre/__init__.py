"""tre: an orchestrator for secure trusted research environments. The packages are the Five Safes; see
docs/architecture.md.
"""
