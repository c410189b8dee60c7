"""From scores to a verdict, its figures and its report."""
