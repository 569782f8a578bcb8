"""Submit outputs for release and follow them."""
