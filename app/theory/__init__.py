"""The theory lab: its command, and the parts of its page."""
