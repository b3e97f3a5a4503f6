"""Rulesets that are loaded again when their files change: for authors, on their own machine.

New games use the new rules. Games that are running go on with the code that they began with, which
stays in memory. Code that cannot be used is reported in a sentence, and the rules that there were
stay. After a restart of the server there is only the newest code, so a running game whose log does
not fold under it is quarantined then.
"""

import asyncio
import logging
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeAlias

from persistence.errors import StartRefused
from server.config import Config
from server.core.periodic import repeat_every
from server.core.settings import split_names
from server.gamekit.checking import RulesetRefused
from server.gamekit.fold import AnyRuleset
from server.rulesets import list_folders, reload_ruleset

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
FILES_MAX: Final = 2000  # that are looked at for one ruleset

# What a folder looks like: its files, with the time and size of each.
_Look: TypeAlias = tuple[tuple[str, int, int], ...]


def require_development(config: Config) -> None:
    """Raise `StartRefused` unless only this machine can reach the server."""
    hosts = split_names(config.host)
    if not hosts or not all(_is_loopback(host) for host in hosts) or config.public_url:
        raise StartRefused(
            "Rulesets are reloaded only by a server that nobody else can reach; leave out "
            "--reload-rulesets (PLAYHALL_RELOAD_RULESETS), or set PLAYHALL_HOST to 127.0.0.1 and "
            "PLAYHALL_PUBLIC_URL to nothing."
        )
    # A file that changes twice within a second would be taken for what was compiled from it before.
    sys.dont_write_bytecode = True


class RulesetReloader:
    """Looks at the folders of rulesets, and puts what has changed into `rulesets`."""

    def __init__(self, rulesets: MutableMapping[str, AnyRuleset], folders: Sequence[Path]) -> None:
        self._rulesets = rulesets
        self._folders = folders
        self._seen = _look_at_all(folders)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        await repeat_every(LOOK_EVERY_S, self.look, "looking for changed rulesets")

    async def look(self) -> None:
        """Load what has changed since the last look."""
        seen = await asyncio.to_thread(_look_at_all, self._folders)
        before, self._seen = self._seen, seen
        for folder in sorted(seen):
            if seen[folder] != before.get(folder):
                self._reload(folder)

    def _reload(self, folder: Path) -> None:
        name = folder.name
        try:
            self._rulesets[name] = reload_ruleset(folder)
        except RulesetRefused as refused:
            stays = "Its last working rules stay." if name in self._rulesets else ""
            log.error("%s %s", refused, stays)  # noqa: TRY400 - the sentence has the place
        else:
            log.info("The ruleset %s was loaded again; new games use it.", name)


def _look_at_all(folders: Iterable[Path]) -> Mapping[Path, _Look]:
    looks: dict[Path, _Look] = {}
    for folder in list_folders(folders):
        try:
            looks[folder] = _look_at(folder)
        except OSError:  # being written just now: the next look finds it
            continue
    return looks


def _look_at(folder: Path) -> _Look:
    found = []
    for path in folder.rglob("*"):
        if "__pycache__" in path.parts or not path.is_file():
            continue
        stat = path.stat()
        found.append((str(path), stat.st_mtime_ns, stat.st_size))
        if len(found) == FILES_MAX:
            break
    return tuple(sorted(found))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
