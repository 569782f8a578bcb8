"""The content store on each of its shelves."""
