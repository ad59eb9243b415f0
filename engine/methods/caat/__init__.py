"""CAAT (Zhou, Yang, Wu; AAAI 2023): corrected, as released, and by reinforcement learning."""

from engine.methods.caat.config import CaatConfig
from engine.methods.caat.rl import CaatRlConfig

__all__ = ["CaatConfig", "CaatRlConfig"]
