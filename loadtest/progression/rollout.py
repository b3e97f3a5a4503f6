"""Which packages a client is to get, by what is documented of rollouts. Pure.

It is written from `docs/guides/content.md` and not from the server's code, so that it can disagree.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from semver import Version

from playhall.errors import Json

COHORTS: Final = 10_000
EVERY_LOCALE: Final = "und"


class Question(NamedTuple):
    """What a client without any package asks."""

    client: str
    locale: str
    channels: Sequence[str]


def is_offered(package_id: str, percent: int, account_id: str) -> bool:
    """Say whether an account is in the share that gets a package."""
    digest = sha256(f"{package_id}\0{account_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % COHORTS < percent * COHORTS // 100


def expected(packages: Iterable[Json], question: Question, account_id: str) -> set[str]:
    """List the ids of the packages that a manifest must offer, of those that are released."""
    released = [
        each
        for each in packages
        if each["status"] == "released"
        and each["kind"] == "content"
        and each["channel"] in question.channels
    ]
    found = (
        _of_name([each for each in released if each["name"] == name], question, account_id)
        for name in {each["name"] for each in released}
    )
    return {package_id for package_id in found if package_id is not None}


def _of_name(packages: Sequence[Json], question: Question, account_id: str) -> str | None:
    """Choose for one name: the most specific locale that has any, then the highest version."""
    client = Version.parse(question.client)
    for locale in _chain(question.locale):
        usable = [
            each
            for each in packages
            if each["locale"] == locale
            and is_offered(each["package_id"], each["rollout_percent"], account_id)
            and client >= Version.parse(each["required_client_version"])
        ]
        if usable:
            best = max(usable, key=lambda each: Version.parse(each["version"]))
            return str(best["package_id"])
    return None


def _chain(locale: str) -> list[str]:
    parts = locale.split("-")
    return [*("-".join(parts[:length]) for length in range(len(parts), 0, -1)), EVERY_LOCALE]
