"""Sweeps: their points, what these cost, how they are run, and a summary of their results."""
