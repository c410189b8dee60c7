"""What networks are trained to do: pairs, losses, scores, and what no network gives."""
