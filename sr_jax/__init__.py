"""Does convolving in low-resolution space represent more at equal compute? (arXiv 1609.07009)."""
