"""Photographs in, patches out: a batch is a function of (seed, step) and of nothing else."""
