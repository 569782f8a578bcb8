"""Tests of output_checks."""
