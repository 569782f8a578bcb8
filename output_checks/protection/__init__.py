"""Which further cells must go so that nothing follows, and the proof of it."""
