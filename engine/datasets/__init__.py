"""Datasets, one a file. A file here registers itself in `engine.dataset.DATASETS`."""
