"""The points of a sweep: which there are, what they cost, who runs them, and what they found."""
