"""The claims of the note as computations."""
