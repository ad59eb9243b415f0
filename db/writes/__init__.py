"""Changes of a run: its status, and what its trainer records."""
