"""What a table is, where its records come from, and what must be known of every cell."""
