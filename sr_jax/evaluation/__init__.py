"""Image quality as the super-resolution field measures it (protocol A of the README)."""
