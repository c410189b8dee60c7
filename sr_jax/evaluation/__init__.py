"""Image quality as the field measures it (protocols A and B of docs/PROTOCOL.md)."""
