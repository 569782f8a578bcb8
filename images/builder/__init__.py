"""Builds the images here: without a registry and without a container engine that runs. See docs/images.md."""
