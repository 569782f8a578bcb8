"""Builds, starts and takes down the Kubernetes of the tests. See docs/cluster.md."""
