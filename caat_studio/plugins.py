"""What a plug-in is made of, under a name that nothing else has: all of `engine.plugins`."""

from engine.plugins import *  # noqa: F403 - this module is that one
from engine.plugins import __all__ as __all__
