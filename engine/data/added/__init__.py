"""Datasets that people add: how they are read, checked and kept."""
