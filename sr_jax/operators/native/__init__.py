"""A convolution for CPU that this machine's own compiler makes from C++."""
