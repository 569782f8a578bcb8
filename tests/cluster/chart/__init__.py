"""The chart: what it makes of values, and what it refuses. Only helm is needed, which `make cluster` builds."""
