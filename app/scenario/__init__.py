"""A scenario as a TOML file: read and written."""
