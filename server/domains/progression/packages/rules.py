"""Which version follows which, who is in a staged rollout, and what a client fetches. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from semver import Version

from persistence.packages.store import PackageTrack, StoredDelta, StoredPackage
from protocol.errors import InvalidField
from protocol.packages import (
    CHANNELS_MAX,
    EVERY_LOCALE,
    HAVE_ITEM,
    HAVE_MAX,
    MODS_MAX,
    ManifestQuery,
    NewPackage,
)

# A rollout's shares are whole percents; finer steps keep the hash from favouring the first ones.
COHORTS: Final = 10_000


@lru_cache(4096)
def parse_version(text: str) -> Version:
    """Read a version that was validated; those without build metadata compare as they should."""
    return Version.parse(text)


def find_newest(packages: Iterable[StoredPackage]) -> StoredPackage | None:
    """Find the highest of those that are released."""
    released = [each for each in packages if each.status == "released"]
    return max(released, key=lambda each: parse_version(each.version), default=None)


def is_above(version: str, other: StoredPackage | None) -> bool:
    """Say whether a version is higher than a package's, by precedence and not as text."""
    return other is None or parse_version(version) > parse_version(other.version)


def list_released_above(packages: Iterable[StoredPackage], version: str) -> list[StoredPackage]:
    """Find what is released above a version, the highest first."""
    found = [each for each in packages if each.status == "released" and is_higher(each, version)]
    return sorted(found, key=lambda each: parse_version(each.version), reverse=True)


def is_higher(package: StoredPackage, version: str) -> bool:
    """Say whether a package is above a version."""
    return parse_version(package.version) > parse_version(version)


def is_in_rollout(package_id: str, percent: int, subject: str) -> bool:
    """Say whether an account (or an installation) is in the share that gets a package.

    The hash does not change, so whoever is in stays in while the share grows; the package is part
    of it, so that it is not always the same people who try what is new. Nobody in particular comes
    last.
    """
    if percent >= 100:
        return True
    if not subject:
        return False
    digest = sha256(f"{package_id}\0{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % COHORTS < percent * COHORTS // 100


def locale_chain(locale: str) -> tuple[str, ...]:
    """List the locales to look in, the most specific first: `de-AT`, `de`, `und`."""
    parts = locale.split("-")
    chain = ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return tuple(dict.fromkeys([*chain, EVERY_LOCALE]))


def check_new(new: NewPackage, *, exposed: Collection[str]) -> None:
    """Refuse what does not fit together; raise `InvalidField`. `exposed` is what mods may read."""
    if (new.kind == "mod") != (new.mod is not None):
        raise _wrong("mod", "send the manifest of a mod, and of nothing else")
    if new.saves is not None and new.saves.oldest > new.saves.newest:
        raise _wrong("saves.oldest", "it cannot be above `newest`")
    if new.mod is None:
        return
    own = f"mods.{new.name}"
    for path in new.mod.writes:
        if not _is_within(path, [own]):
            raise _wrong("mod.writes", f"a mod writes below {own} alone, and not {path}")
    allowed = [own, *exposed]
    for path in new.mod.reads:
        if not _is_within(path, allowed):
            raise _wrong("mod.reads", f"mods may read {', '.join(allowed)}, and not {path}")
    if any(each.name == new.name for each in new.mod.requires):
        raise _wrong("mod.requires", "a mod cannot require itself")


def _is_within(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(f"{root}.") for root in roots)


# ------------------------------------------------------------------ the manifest


class ManifestRequest(NamedTuple):
    """What a client is and has, as it was sent; equal ones get equal answers."""

    client: str
    locales: tuple[str, ...]
    channels: tuple[str, ...]
    have: frozenset[str]
    mods: frozenset[str]


class PackageChoice(NamedTuple):
    """A package for a client, and the delta from what it has, if there is one."""

    package: StoredPackage
    delta: StoredDelta | None


class ManifestChoices(NamedTuple):
    """What a client fetches, keeps and removes, and what it is too old for."""

    fetch: list[PackageChoice]
    current: list[str]
    remove: list[str]
    needs_client: list[StoredPackage]


def parse_manifest_query(query: ManifestQuery) -> ManifestRequest:
    """Read a query; raise `InvalidField`."""
    return ManifestRequest(
        client=_client(query.client),
        locales=locale_chain(_locale(query.locale)),
        channels=tuple(_listed("channel", query.channel, CHANNELS_MAX)),
        have=frozenset(_ids(query.have)),
        mods=frozenset(_listed("mods", query.mods, MODS_MAX)),
    )


def _client(text: str) -> str:
    """Build metadata says nothing about what a client can do, and arrives with a space for +."""
    if not text.isascii() or not Version.is_valid(text.replace(" ", "+")):
        raise _wrong("client", "send the client's semantic version, such as 1.4.0")
    return text.replace(" ", "+").partition("+")[0]


def _locale(text: str) -> str:
    """Accept `de_at` for `de-AT`, as systems write it."""
    language, *others = text.replace("_", "-").split("-")
    parts = [language.lower(), *(_subtag(each) for each in others)]
    if not all(part.isascii() and part.isalnum() for part in parts):
        raise _wrong("locale", "send a language tag such as de, pt-BR or zh-Hant")
    return "-".join(parts)


def _subtag(text: str) -> str:
    return text.title() if len(text) == 4 else text.upper()


def _listed(field: str, text: str, most: int) -> list[str]:
    names = list(dict.fromkeys(filter(None, (each.strip() for each in text.split(",")))))
    if len(names) > most:
        raise _wrong(field, f"name at most {most}")
    return names


def _ids(text: str) -> list[str]:
    ids = _listed("have", text, HAVE_MAX)
    if not all(HAVE_ITEM.match(each) for each in ids):
        raise _wrong("have", "list `package_id`s of earlier manifests, with commas between")
    return ids


class PackageCatalog:
    """What is or was released, in memory; made anew whenever it changes."""

    def __init__(self, packages: Iterable[StoredPackage], deltas: Iterable[StoredDelta]) -> None:
        self.packages: Mapping[str, StoredPackage] = {each.package_id: each for each in packages}
        self.deltas: Mapping[tuple[str, str], StoredDelta] = {
            (each.package_id, each.parent_id): each for each in deltas
        }
        released = [each for each in self.packages.values() if each.status == "released"]
        self.released = len(released)
        released.sort(key=lambda each: parse_version(each.version), reverse=True)
        # Those that only some get; whether somebody is in is all that tells accounts apart.
        self.staged: Sequence[StoredPackage] = [
            each for each in released if each.rollout_percent < 100
        ]
        self._places: dict[PackageTrack, list[StoredPackage]] = {}
        for each in released:
            self._places.setdefault(each.track, []).append(each)
        self._names = sorted({place.name for place in self._places})
        self._found = {
            (each.track, each.version, each.checksum): each for each in self.packages.values()
        }

    def find(self, place: PackageTrack, version: str, checksum: str) -> StoredPackage | None:
        """Find what is or was released by what it is called in the signed metadata."""
        return self._found.get((place, version, checksum))

    def list_excluded(self, subject: str) -> frozenset[str]:
        """Say which packages somebody does not get yet."""
        return frozenset(
            each.package_id
            for each in self.staged
            if not is_in_rollout(each.package_id, each.rollout_percent, subject)
        )

    def choose_packages(self, asked: ManifestRequest, left_out: Collection[str]) -> ManifestChoices:
        """Decide what a client fetches.

        For each name: the most specific locale, then the highest version that the client can use
        and that it is meant to get. What it has stays if that is as high and not withdrawn, so
        nobody goes back a version because a rollout's share shrank.
        """
        chosen = ManifestChoices([], [], [], [])
        client = parse_version(asked.client)
        have = self._usable(asked)
        for name in self._names:
            served = self._served(name, asked, client, left_out, chosen.needs_client)
            if served is None:
                continue
            kept = have.get((name, served.locale))
            if kept is not None and not is_above(served.version, kept):
                chosen.current.append(kept.package_id)
            else:
                chosen.fetch.append(PackageChoice(served, self._delta(served, asked)))
        chosen.remove.extend(sorted(asked.have.difference(chosen.current)))
        return chosen

    def _usable(self, asked: ManifestRequest) -> dict[tuple[str, str], StoredPackage]:
        """Find the highest version of each name and locale that a client has and may keep."""
        found: dict[tuple[str, str], StoredPackage] = {}
        for package_id in asked.have:
            have = self.packages.get(package_id)
            if have is None or have.status != "released" or have.channel not in asked.channels:
                continue
            if is_above(have.version, found.get((have.name, have.locale))):
                found[have.name, have.locale] = have
        return found

    def _served(
        self,
        name: str,
        asked: ManifestRequest,
        client: Version,
        left_out: Collection[str],
        needs_client: list[StoredPackage],
    ) -> StoredPackage | None:
        for locale in asked.locales:
            # The channels count alike: a hotfix is one because its version is higher.
            versions = [
                each
                for channel in asked.channels
                for each in self._places.get(PackageTrack(name, channel, locale), ())
                if each.package_id not in left_out
                and (each.kind == "content" or each.name in asked.mods)
            ]
            versions.sort(key=lambda each: parse_version(each.version), reverse=True)
            for place, each in enumerate(versions):
                if client >= parse_version(each.required_client_version):
                    if place:
                        needs_client.append(versions[0])
                    return each
            if versions:
                needs_client.append(versions[0])
        return None

    def _delta(self, served: StoredPackage, asked: ManifestRequest) -> StoredDelta | None:
        found = [
            delta
            for package_id in asked.have
            if (delta := self.deltas.get((served.package_id, package_id))) is not None
        ]
        return min(found, key=lambda delta: delta.size, default=None)


def _wrong(field: str, remedy: str) -> InvalidField:
    return InvalidField(f"{field}: {remedy}.", field=field)
