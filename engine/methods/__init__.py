"""Training methods, one a file. A file here registers itself in `METHODS`."""
