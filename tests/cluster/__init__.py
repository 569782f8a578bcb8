"""A real Kubernetes for the tests, and the tests that need one. They run when named: `make test-cluster`."""
