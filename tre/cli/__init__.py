"""The command line: a thin client of the JSON API, and what runs the platform on one machine. Decides nothing."""
