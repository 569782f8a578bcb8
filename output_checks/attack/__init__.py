"""What follows from published cells, alone and together."""
