"""CAAT (Zhou, Yang, Wu; AAAI 2023): corrected, as released, and two extensions."""

from engine.methods.caat.config import CaatConfig
from engine.methods.caat.rl import CaatRlConfig
from engine.methods.caat.weighted import CaatWeightedConfig

__all__ = ["CaatConfig", "CaatRlConfig", "CaatWeightedConfig"]
