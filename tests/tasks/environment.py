"""The settings that the environment of this process has: forgotten, or refused."""

import pytest

from db.errors import SettingsError
from db.settings import read_settings
from tasks.processes import secrecy
from tasks.settings import Settings, settings


def forget() -> None:
    """Forget the settings in force, and what of them is secret."""
    settings.cache_clear()
    secrecy.secrets.cache_clear()


def mistakes() -> list[str]:
    """Return what is said of settings that are refused."""
    with pytest.raises(SettingsError) as refused:
        read_settings(Settings)
    return refused.value.mistakes
