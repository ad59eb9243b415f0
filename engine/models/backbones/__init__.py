"""Backbones, one a file. A file here registers itself in `BACKBONES`."""
