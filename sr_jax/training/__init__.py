"""Populations of networks, trained as one compiled program an arm."""
