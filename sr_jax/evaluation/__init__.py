"""Image quality as the super-resolution field measures it (protocols A and B of docs/PROTOCOL.md)."""
