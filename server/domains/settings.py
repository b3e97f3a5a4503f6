"""The settings of all included domains, found by scan: no domain is imported for them.

They are read before anything else is done, so that a mistake is reported at once, and not after a
database was started for it.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from server.core.settings import Settings, SettingsReader, read_settings


def included_settings() -> Iterator[type[Settings]]:
    """Find the class in every domain's `settings.py`."""
    for path in sorted(Path(__file__).parent.glob("*/*/settings.py")):
        group, domain = path.parts[-3:-1]
        module = import_module(f"{__package__}.{group}.{domain}.settings")
        yield from (
            each
            for each in vars(module).values()
            if isinstance(each, type) and each.__module__ == module.__name__
            if issubclass(each, Settings)
        )


def read_included() -> SettingsReader:
    """Read the settings of every included domain; raise `StartRefused`."""
    return SettingsReader(*map(read_settings, included_settings()))
