"""The checking sandbox of a cluster: a pod that reads hostile files for the worker, and holds and reaches nothing."""
