"""Tables and figures that may leave: suppressed, rounded, written, read back, attacked."""
