"""What networks can represent and fit, apart from photographs they have not seen."""
