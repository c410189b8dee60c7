"""The science: how arms are trained and scored alike, and what their difference says."""
