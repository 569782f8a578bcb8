"""A control plane without nodes and a platform beside it, large: for what only shows at size. See docs/scale.md."""
