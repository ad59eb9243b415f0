"""What `from engine import ...` gives to a notebook or a script; docs/library.md shows it."""
