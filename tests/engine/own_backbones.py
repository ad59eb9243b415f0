"""The networks that are this package's own; another library's stand in `test_foreign_models`."""

from engine.models.backbones.base import BACKBONES

OWN = [name for name in BACKBONES.names() if not BACKBONES[name].package]
