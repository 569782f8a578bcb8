"""Tests on real parts; `tests/<package>/` mirrors the source."""
