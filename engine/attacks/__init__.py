"""Attacks of an evaluation, one a file; a file registers itself in `engine.attacks.base`."""
