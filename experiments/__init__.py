"""One question per file: its docstring is the question, the command and the result."""
