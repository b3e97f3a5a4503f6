"""The state of a save: its canonical form, its bounds, patches of it, and its mods. Pure.

The canonical form is JSON with sorted keys and no white space, with numbers as `jsonb` gives them
back, so that a checksum can be made again from the database, and by clients in any language.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeAlias

import orjson
from jsonpatch import JsonPatch, JsonPatchException, JsonPatchTestFailed
from jsonpointer import JsonPointer, JsonPointerException

from protocol.codec import require_whole
from protocol.errors import InvalidField, TooLarge
from protocol.saves import MODS_MAX, PATCH_OPERATIONS_MAX, PatchRefused

State: TypeAlias = dict[str, Any]

MODS: Final = "mods"
_MOD_ID: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
# A float that jsonb or another language writes otherwise: a whole one, or one with an exponent.
_ODD_FLOAT: Final = re.compile(rb"[:,\[]-?[0-9]+(?:\.0[,}\]]|(?:\.[0-9]+)?e)")
# What every odd float has in it; both are found several times as fast.
_WHOLE_FLOAT: Final = re.compile(rb"\.0[,}\]]")
_EXPONENT: Final = re.compile(rb"e[-+]?[0-9]")
# An integer beyond 2**53, which not every double is.
_LONG_INTEGER: Final = re.compile(rb"(?<![0-9.])-?[0-9]{16,20}(?![0-9.])")
KEY_CHARS_MAX: Final = 256
_INT64_START, _UINT64_END = -(2**63), 2**64
_OPERATIONS: Final = frozenset(("add", "remove", "replace", "move", "copy", "test"))


class StateLimits(NamedTuple):
    """The bounds of a state."""

    bytes_max: int
    depth_max: int
    mods_bytes_max: int


class CanonicalState(NamedTuple):
    """A state in its canonical form."""

    state: State
    json: bytes

    @property
    def checksum(self) -> str:
        """The checksum of the state."""
        return compute_checksum(self.json)


def compute_checksum(canonical: bytes) -> str:
    """Give the checksum of a canonical form."""
    return f"sha256:{sha256(canonical).hexdigest()}"


def canonicalise_state(state: State) -> CanonicalState:
    """Write a state in its canonical form, numbers made canonical in the state as well."""
    try:
        canonical = orjson.dumps(state, option=orjson.OPT_SORT_KEYS)
        if _has_odd_float(canonical):
            state = _with_plain_numbers(state)
            canonical = orjson.dumps(state, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:  # an integer that a merge or a patch made too large
        raise _wrong("", f"it cannot be written as JSON: {error}") from None
    return CanonicalState(state, canonical)


def _has_odd_float(canonical: bytes) -> bool:
    may_have = _WHOLE_FLOAT.search(canonical) or _EXPONENT.search(canonical)
    return bool(may_have and _ODD_FLOAT.search(canonical))


def validate_client_state(state: State, limits: StateLimits) -> CanonicalState:
    """Write a state that a client sent; raise `TooLarge` or `InvalidField` where out of bounds."""
    _check_depth(state, limits.depth_max)
    result = canonicalise_state(state)
    if len(result.json) > limits.bytes_max:
        size = f"{len(result.json)} bytes as compact JSON"
        raise TooLarge(f"state: it has {size}, of at most {limits.bytes_max}.", field="state")
    if b"\\u0000" in result.json and _has_nul(state):
        raise _wrong("", "remove NUL characters (U+0000)")
    for found in _LONG_INTEGER.findall(result.json):
        # It may stand in a text.
        if int(float(found)) != int(found) and _has_integer(state, int(found)):
            raise _wrong(
                "", f"most languages cannot keep {found.decode()} exactly; send it as text"
            )
    _check_mods(state, limits.mods_bytes_max)
    return result


def is_modded(state: State) -> bool:
    """Say whether a state has data of mods."""
    return bool(state.get(MODS))


def without_mods(state: State) -> State:
    """Give the part of a state that its title knows."""
    return {key: value for key, value in state.items() if key != MODS}


def keep_mods(before: State, after: State) -> State:
    """Put back the data of mods that a client which does not know them left out."""
    mods = before.get(MODS)
    if not mods or not isinstance(mods, dict):
        return after
    sent = after.get(MODS)
    kept = {**mods, **sent} if isinstance(sent, dict) else mods
    return {**after, MODS: kept}


# ------------------------------------------------------------------ patches


def read_patch(body: bytes) -> list[dict[str, Any]]:
    """Read a JSON Patch; raise `PatchRefused` with what is wrong with it."""
    try:
        patch = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PatchRefused(f"The patch is not valid JSON: {error}.") from None
    require_whole(body, patch)
    check_patch(patch)
    operations: list[dict[str, Any]] = patch
    return operations


def check_patch(patch: object) -> None:
    """Raise `PatchRefused` for what is not an array of operations."""
    if not isinstance(patch, list):
        raise PatchRefused("Send a JSON Patch: an array of operations (RFC 6902).")
    if len(patch) > PATCH_OPERATIONS_MAX:
        raise PatchRefused(f"A patch has at most {PATCH_OPERATIONS_MAX} operations.")
    for place, operation in enumerate(patch):
        if not isinstance(operation, dict) or operation.get("op") not in _OPERATIONS:
            known = ", ".join(sorted(_OPERATIONS))
            raise PatchRefused(
                f"Operation {place}: `op` must be one of {known}.", field=f"{place}.op"
            )
        for name in ("path", "from") if operation["op"] in ("move", "copy") else ("path",):
            if not isinstance(operation.get(name), str):
                problem = f"Operation {place}: `{name}` must be a JSON Pointer."
                raise PatchRefused(problem, field=f"{place}.{name}")


def apply_patch(state: State, patch: Sequence[Mapping[str, Any]], limits: StateLimits) -> State:
    """Apply a patch; raise `PatchRefused` with the operation that does not fit.

    One operation after the other, so that copies of copies are stopped before they fill memory.
    """
    result: Any = orjson.loads(orjson.dumps(state))  # operations change in place
    room = limits.bytes_max
    for place, operation in enumerate(patch):
        try:
            if operation["op"] == "copy":
                copied = JsonPointer(operation["from"]).resolve(result)
                room -= len(orjson.dumps(copied))
                if room < 0:
                    raise TooLarge("The patch copies more than a state may have.", field="state")
            result = JsonPatch([dict(operation)]).apply(result, in_place=True)
        except JsonPatchTestFailed:
            raise _unfit(place, "the value there is another one") from None
        except JsonPointerException:
            raise _unfit(place, "`path` or `from` leads nowhere") from None
        except (JsonPatchException, KeyError, TypeError, ValueError) as error:
            said = str(error).partition("\n")[0][:200].rstrip(".")
            raise _unfit(place, said) from None
        except RecursionError:
            raise _unfit(place, "it nests too deeply") from None
    if not isinstance(result, dict):
        raise PatchRefused("The result of the patch is no object.")
    return result


# ------------------------------------------------------------------ details


def _check_depth(state: State, depth_max: int) -> None:
    level: list[Any] = [state]
    for _ in range(depth_max):
        for value in level:
            if type(value) is dict and value and len(key := max(value, key=len)) > KEY_CHARS_MAX:
                raise _wrong(
                    "",
                    f"the key {key[:40]}… has {len(key)} characters; use at most {KEY_CHARS_MAX}",
                )
        level = [
            child
            for value in level
            for child in (value.values() if type(value) is dict else value)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return
    raise _wrong("", f"nest it at most {depth_max} levels deep")


def _check_mods(state: State, bytes_max: int) -> None:
    mods = state.get(MODS)
    if mods is None:
        return
    if not isinstance(mods, dict) or len(mods) > MODS_MAX:
        raise _wrong(".mods", f"send an object with at most {MODS_MAX} mods")
    for mod_id in mods:
        if not _MOD_ID.fullmatch(mod_id):
            raise _wrong(".mods", "name a mod with a to z, digits, dots, dashes and underscores")
    if len(orjson.dumps(mods)) > bytes_max:
        raise _wrong(".mods", f"keep the data of all mods within {bytes_max} bytes of JSON")


def _has_integer(value: Any, number: int) -> bool:
    if isinstance(value, dict):
        return any(_has_integer(each, number) for each in value.values())
    if isinstance(value, list):
        return any(_has_integer(each, number) for each in value)
    return type(value) is int and value == number


def _has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(each) for pair in value.items() for each in pair)
    if isinstance(value, list):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value


def _with_plain_numbers(value: Any) -> Any:
    if type(value) is dict:
        return {key: _with_plain_numbers(item) for key, item in value.items()}
    if type(value) is list:
        return [_with_plain_numbers(item) for item in value]
    if type(value) is float and value.is_integer() and _INT64_START <= value < _UINT64_END:
        return int(value)
    return value


def _unfit(place: int, problem: str) -> PatchRefused:
    return PatchRefused(f"Operation {place} cannot be applied: {problem}.", field=str(place))


def _wrong(part: str, remedy: str) -> InvalidField:
    return InvalidField(f"state{part}: {remedy}.", field=f"state{part}")


def content_hash(*parts: bytes) -> str:
    """Hash what a request says, to tell a repeat from another use of its id."""
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return urlsafe_b64encode(digest.digest()[:24]).decode()
