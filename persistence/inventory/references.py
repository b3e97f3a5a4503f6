"""What other domains' definitions give: checked when it is defined, and kept while it is given."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from persistence.database import Connection
from persistence.queries import load_queries
from protocol.inventory import AssetNotFound, AssetRetired

SQL: Final = load_queries("inventory/references")


async def require_assets(connection: Connection, bundle: Mapping[str, Any], field: str) -> None:
    """Hold the items and currencies of a bundle until the caller's transaction ends.

    Raise `AssetNotFound` or `AssetRetired`, which name the place within `field`.
    """
    for plural, query in (("items", "hold_items"), ("currencies", "hold_currencies")):
        wanted = sorted(bundle[plural])
        if not wanted:
            continue
        found = {row["id"]: row["is_retired"] for row in await connection.fetch(SQL[query], wanted)}
        for each in wanted:
            place = f"{field}.{plural}.{each}"
            if each not in found:
                raise AssetNotFound(
                    f"{place}: there is nothing of this name in /v1/{plural}; define it first.",
                    field=place,
                )
            if found[each]:
                raise AssetRetired(f"{place}: it is retired, so nobody can get it.", field=place)


async def refer(
    connection: Connection,
    bundles: Sequence[Mapping[str, Any]],
    *,
    quest_id: str | None = None,
    reward_id: str | None = None,
) -> None:
    """Note what a quest or a ruleset's games give, in place of what they gave before."""
    owner = (quest_id, reward_id)
    await connection.execute(SQL["forget"], *owner)
    items = {each for bundle in bundles for each in bundle["items"]}
    currencies = {each for bundle in bundles for each in bundle["currencies"]}
    await connection.execute(SQL["refer"], *owner, sorted(items), sorted(currencies))
