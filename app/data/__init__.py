"""Cached reads of the database, shaped for the pages."""
