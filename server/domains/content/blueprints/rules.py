"""What a blueprint must be, beyond the shape of its fields. Pure."""

import re
from typing import Final

import orjson
from pydantic import JsonValue

from persistence.blueprints.store import BlueprintDraft, SearchWord, StoredBlueprint
from protocol.blueprints import DATA_BYTES_MAX, Fork, NewBlueprint
from protocol.errors import InvalidField
from protocol.ids import BlueprintId, UserId, new_id
from protocol.limits import JSON_DEPTH_MAX
from protocol.schemas import JsonObject
from server.domains.content.blueprints.model import NameRule, version_from_name

ASSETS_BUCKET: Final = "user-assets"
WORDS_MAX: Final = 16
BLUEPRINTS_MAX: Final = 500  # of one account

_LINK: Final = re.compile(r"user-assets/[0-9a-f-]{36}(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
_WORD: Final = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


def draft_blueprint(new: NewBlueprint, owner: UserId, naming: NameRule) -> BlueprintDraft:
    """Turn what somebody sent into a blueprint to be kept; raise `InvalidField`."""
    version = _version(new.name, naming)
    if new.version not in (None, version):
        raise _wrong("version", f"the name says {version}; send that, or leave it out")
    _check_data(new.data, version, naming)
    _check_assets(new.assets, owner, inherited={})
    return BlueprintDraft(
        blueprint_id=new.blueprint_id or BlueprintId(new_id()),
        owner_id=owner,
        name=new.name,
        version=version,
        data=orjson.dumps(new.data),
        assets=new.assets,
        description=new.description,
    )


def fork_blueprint(
    fork: Fork, parent: StoredBlueprint, owner: UserId, naming: NameRule
) -> BlueprintDraft:
    """Derive a blueprint from another one; raise `InvalidField`.

    It may keep links into the folder of the parent's owner, and add none.
    """
    data: JsonObject = orjson.loads(parent.data) if fork.data is None else fork.data
    version = _version(fork.name, naming)
    _check_data(data, version, naming)
    assets = parent.assets if fork.assets is None else fork.assets
    _check_assets(assets, owner, inherited=parent.assets)
    return BlueprintDraft(
        blueprint_id=fork.blueprint_id or BlueprintId(new_id()),
        owner_id=owner,
        name=fork.name,
        version=version,
        data=orjson.dumps(data),
        assets=assets,
        description=parent.description if fork.description is None else fork.description,
        parent_id=parent.blueprint_id,
    )


def invalid_name_error(naming: NameRule) -> InvalidField:
    """Say how to name a blueprint."""
    return _wrong("name", naming.help)


def search_words(text: str) -> list[SearchWord] | None:
    """Take what somebody looks for apart into words; None where nothing is looked for.

    A name may be typed with a dash between its syllables, which are words of their own otherwise.
    """
    if not text.strip():
        return None
    return [_word(typed) for typed in _WORD.findall(text.lower())[:WORDS_MAX]]


def _word(typed: str) -> SearchWord:
    parts = typed.split("-")
    return SearchWord("".join(parts), tuple(parts[:WORDS_MAX]) if len(parts) > 1 else ())


def _version(name: str, naming: NameRule) -> int:
    if (version := version_from_name(name)) is None:
        raise invalid_name_error(naming)
    return version


def _check_data(data: JsonObject, version: int, naming: NameRule) -> None:
    _check_values(data)
    if len(orjson.dumps(data)) > DATA_BYTES_MAX:
        raise _wrong("data", f"keep it within {DATA_BYTES_MAX} bytes of JSON")
    capacity = data.get("capacity")
    each = naming.capacity_per_version
    if capacity is not None and each and not _fits(capacity, version, each):
        raise _wrong("data.capacity", f"divided by {each} it must be {version}, as the name says")


def _check_values(data: JsonObject) -> None:
    """Refuse what is nested too deeply, and text that no database can hold."""
    level: list[JsonValue] = [data]
    for _ in range(JSON_DEPTH_MAX):
        level = [child for value in level for child in _children(value)]
        if any(isinstance(value, str) and "\0" in value for value in level):
            raise _wrong("data", "remove NUL characters")
    if any(isinstance(value, dict | list) for value in level):
        raise _wrong("data", f"nest it at most {JSON_DEPTH_MAX} levels deep")


def _check_assets(assets: dict[str, str], owner: UserId, *, inherited: dict[str, str]) -> None:
    for name, link in assets.items():
        if link in inherited.values():
            continue
        if not _LINK.fullmatch(link) or not link.startswith(f"{ASSETS_BUCKET}/{owner}/"):
            remedy = f"link a file of yours: {ASSETS_BUCKET}/{owner}/<blueprint id>/model.glb"
            raise _wrong(f"assets.{name}", remedy)


def _fits(capacity: JsonValue, version: int, each: int) -> bool:
    is_number = isinstance(capacity, int | float) and not isinstance(capacity, bool)
    return is_number and capacity // each == version  # type: ignore[operator]  # a number, as just seen


def _children(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _wrong(field: str, remedy: str) -> InvalidField:
    return InvalidField(f"{field}: {remedy}.", field=field)
