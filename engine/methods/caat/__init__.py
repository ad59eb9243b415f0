"""CAAT (Zhou, Yang, Wu; AAAI 2023): the corrected protocol and the one that was released."""

from engine.methods.caat.config import CaatConfig

__all__ = ["CaatConfig"]
