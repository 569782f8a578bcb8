"""How people meet it: tables, models and histograms in a notebook, sessions, results folders."""
