"""Names of blueprints. Pure.

It is imported with the settings by every command, so it imports no models of the wire.
"""

import re
from typing import Final, NamedTuple

# What every name is within, whatever the rule for names; the database has the same in a CHECK.
_NAME: Final = re.compile(r"[A-Za-z0-9]*[A-Za-z]([1-9][0-9]{0,3})")


class NameRule(NamedTuple):
    """How the rule for names is explained, and by what the capacity is divided to give the version.

    The rule itself is the database's: see `persistence.blueprints.store.BlueprintRuleStore`.
    """

    help: str
    capacity_per_version: int


def version_from_name(name: str) -> int | None:
    """Read the version at the end of a name; None if it has none, so that it is no name."""
    found = _NAME.fullmatch(name)
    return None if found is None else int(found[1])


def example_from_help(help_text: str) -> str:
    """Give the name at the end of the help."""
    return help_text.split(" ")[-1]
