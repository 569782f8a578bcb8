"""One workspace as a bubblewrap sandbox on this machine: its arguments, its system call filter, its keeper."""
