"""Projects and their controller on a cluster. They need a state database, so they run as an ordinary user."""
