"""Safe settings: a workspace's life, the runtimes that carry it out, and the probes that prove its isolation."""
