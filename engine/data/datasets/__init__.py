"""Datasets, one a file. A file here registers itself by `register`."""
