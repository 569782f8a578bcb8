"""A release beside servers that an institution runs already, which are beyond the cluster's network card."""
