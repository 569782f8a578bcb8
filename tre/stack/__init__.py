"""The embedded servers: what `tre up` starts, in which order, and when each is ready."""
