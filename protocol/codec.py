"""Bytes to commands, and replies to bytes.

In: orjson parses strictly (RFC 8259: no NaN, no lone surrogates), pydantic validates.
A whole float is an integer where the model asks for one. Out: orjson writes.
"""

import json
import re
from contextlib import suppress
from functools import cache
from math import ceil
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from protocol.catalog import COMMANDS
from protocol.envelope import Command
from protocol.epochs import MirrorGap
from protocol.errors import (
    BadFrame,
    GameMovedOn,
    InvalidField,
    MoveRefused,
    PlayhallError,
    UnknownCommand,
    WrongNode,
)
from protocol.ids import UUID_PATTERN
from protocol.limits import BODY_DEPTH_MAX, INT_MAX, JSON_DEPTH_MAX
from protocol.numbers import float_to_integer

KEY_CHARS_SHOWN: Final = 60
_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")

Model = TypeVar("Model", bound=BaseModel)

# What pydantic says of a float where it wants an integer.
_NOT_AN_OBJECT: Final = frozenset(("dict_type", "model_type", "model_attributes_type"))
_KEY: Final = "[key]"  # pydantic's word for a key of an object, which the place before it names
_NOT_AN_INTEGER: Final = frozenset(("int_type", "int_from_float", "literal_error", "enum"))


class CommandRefused(Exception):
    """A frame that is not a valid command: the reason, and the `id` to reply to, if it has one."""

    def __init__(self, command_id: int | None, reason: PlayhallError) -> None:
        super().__init__(reason.message)
        self.command_id = command_id
        self.reason = reason


def decode(frame: bytes) -> Command:
    """Parse and validate one command; raise `CommandRefused`."""
    try:
        data = _parse_object(frame)
    except BadFrame as error:
        raise CommandRefused(None, error) from None
    command_id = data.get("id")
    if type(command_id) is float:
        command_id = data["id"] = float_to_integer(command_id)
    if type(command_id) is not int or not 0 <= command_id <= INT_MAX:
        problem = InvalidField(f"id: send an integer from 0 to {INT_MAX}.", field="id")
        raise CommandRefused(None, problem)
    name = data.get("type")
    model = COMMANDS.get(name) if isinstance(name, str) else None
    if model is None:
        raise CommandRefused(command_id, UnknownCommand())
    try:
        return _validated(model, data)
    except ValidationError as error:
        raise CommandRefused(command_id, describe_validation_error(error)) from None


def _parse_object(frame: bytes) -> dict[str, Any]:
    try:
        data = orjson.loads(frame)
    except orjson.JSONDecodeError as error:
        raise BadFrame(f"The frame is not valid JSON: {error}.") from None
    if not isinstance(data, dict):
        raise BadFrame
    require_depth(frame, data, JSON_DEPTH_MAX)
    return data


def require_depth(raw: bytes, data: object, most: int) -> None:
    """Raise `BadFrame` where what was read is nested deeper than `most`."""
    # Counting brackets is cheap; walking the value is not, so it is done only when it matters.
    if raw.count(b"[") + raw.count(b"{") > most and json_depth(data) > most:
        raise BadFrame(f"The JSON is nested more than {most} levels deep.")


def json_depth(value: object) -> int:
    """Count how deep a value is nested."""
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [child for parent in level for child in _children(parent)]
    return depth - 1


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def read_json(raw: bytes) -> Any:
    """Read JSON of an HTTP body; raise `BadFrame` for what is none, or would not be kept whole."""
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadFrame(f"The body is not valid JSON: {error}.") from None
    require_depth(raw, data, BODY_DEPTH_MAX)
    require_whole(raw, data)
    return data


def require_whole(raw: bytes, data: object) -> None:
    """Raise `BadFrame` where reading lost something: a key that came twice, a huge integer.

    Written again, JSON that lost a key has fewer colons. Only where that does not show it, because
    of escaped colons, long numbers or depth, all is read once more by a reader that tells.
    """
    if b"\\u003" not in raw and _LONG_NUMBER.search(raw) is None:
        with suppress(orjson.JSONEncodeError):  # nested deeper than it writes
            if raw.count(b":") == orjson.dumps(data).count(b":"):
                return
    try:
        json.loads(raw, object_pairs_hook=_distinct, parse_int=_exact)
    except RecursionError:
        raise BadFrame("The body is nested too deeply.") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            shown = key[:KEY_CHARS_SHOWN]
            problem = f"The key {shown!r} is there twice in one object; send it once."
            raise BadFrame(problem, field=shown)
        found[key] = value
    return found


def _exact(text: str) -> int | float:
    """Read an integer as orjson does: beyond 64 bits it becomes a float, which may be another."""
    try:
        number = int(text)
        if -(2**63) <= number < 2**64 or int(float(number)) == number:
            return number
    except (ValueError, OverflowError):  # thousands of digits
        pass
    shown = text[:KEY_CHARS_SHOWN]
    raise BadFrame(f"The number {shown} cannot be kept exactly; send it as text.")


def validate(model: type[Model], data: object) -> Model:
    """Validate an HTTP body or query; raise `InvalidField` with the field and the remedy.

    In `data`, whole floats become integers where the model asks for integers.
    """
    try:
        return _validated(model, data)
    except ValidationError as error:
        raise describe_validation_error(error) from None


def _validated(model: type[Model], data: object) -> Model:
    """Validate, and once more if whole floats stood where integers belong.

    So data without such floats costs nothing more, and free JSON keeps its floats.
    """
    try:
        return model.__pydantic_validator__.validate_python(data)  # type: ignore[no-any-return]  # the model
    except ValidationError as error:
        if not replace_whole_floats(data, error):
            raise
    return model.__pydantic_validator__.validate_python(data)  # type: ignore[no-any-return]  # the model


def replace_whole_floats(data: object, error: ValidationError) -> bool:
    """Replace the whole floats in `data` that a validation refused for not being integers.

    Returns whether there were any: then it is worth validating once more.
    """
    found = False
    for problem in error.errors(include_url=False, include_context=False):
        if problem["type"] in _NOT_AN_INTEGER and type(problem["input"]) is float:
            found |= _put_integer(data, problem["loc"])
    return found


def _put_integer(data: Any, place: tuple[int | str, ...]) -> bool:
    """Follow a place in the data, down to the first float; what follows names types of a union."""
    for part in place:
        try:
            value = data[part]
        except (KeyError, IndexError, TypeError):
            return False
        if type(value) is float:
            data[part] = float_to_integer(value)
            return type(data[part]) is int
        data = value
    return False


def describe_validation_error(error: ValidationError) -> InvalidField:
    """Turn pydantic's first complaint into one sentence that names the field."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"] if part != _KEY) or "body"
    context = first.get("ctx", {})
    if first["type"] in _NOT_AN_OBJECT:
        return InvalidField(f"{field}: send a JSON object.", field=field)
    if first["type"] == "list_type":
        return InvalidField(f"{field}: send a list.", field=field)
    if first["type"] == "too_long":
        return InvalidField(f"{field}: send at most {context['max_length']}.", field=field)
    if first["type"] == "too_short":
        return InvalidField(f"{field}: send at least {context['min_length']}.", field=field)
    if first["type"] == "value_error":
        return InvalidField(f"{field}: {context['error']}.", field=field)
    if first["type"] == "extra_forbidden":
        return InvalidField(f"{field}: unknown field; remove it.", field=field)
    if first["type"] == "missing":
        return InvalidField(f"{field}: this field is required.", field=field)
    if context.get("pattern") == UUID_PATTERN:
        return InvalidField(f"{field}: send a UUID, 36 lowercase characters.", field=field)
    return InvalidField(f"{field}: {first['msg']}.", field=field)


def encode(message: BaseModel) -> bytes:
    """Write a message as JSON."""
    return orjson.dumps(message.model_dump())


def encode_refusal(command_id: int | None, error: PlayhallError) -> bytes:
    """Write the error reply to a command."""
    return orjson.dumps({"re": command_id, "type": "error", **error_body(error)})


def error_body(error: PlayhallError) -> dict[str, object]:
    """Give what an error says on either transport, beside its type."""
    fields: dict[str, object] = {
        "code": error.wire_code,
        "message": error.message,
        "retry": error.retry,
    }
    if error.field is not None:
        fields["field"] = error.field
    if error.retry_after_s is not None:
        fields["wait_s"] = ceil(error.retry_after_s * 1000 - 0.001) / 1000  # never too early
    if error.details is not None:
        fields["details"] = error.details
    if isinstance(error, MoveRefused):
        fields["event_index"] = error.event_index
    if isinstance(error, GameMovedOn):
        fields["head"] = error.head
    if isinstance(error, WrongNode):
        fields["address"] = error.address
    if isinstance(error, MirrorGap):
        fields["expected"] = error.expected
    return fields


def parse_error(body: dict[str, Any]) -> PlayhallError:
    """Make the error again that `error_body` described on another node."""
    message, code = str(body["message"]), str(body["code"])
    if "event_index" in body:
        return MoveRefused(message, rule=code, event_index=int(body["event_index"]))
    kind = _find_error(code)
    error = kind.__new__(kind)
    PlayhallError.__init__(
        error, message, field=body.get("field"), retry_after_s=body.get("wait_s")
    )
    error.details = body.get("details")
    for name in ("head", "address", "expected"):
        if name in body:
            setattr(error, name, body[name])
    return error


@cache
def _find_error(code: str) -> type[PlayhallError]:
    """Find the class of a code; one that this version does not have is an internal error."""
    waiting = PlayhallError.__subclasses__()
    while waiting:
        kind = waiting.pop()
        if kind.code == code:
            return kind
        waiting += kind.__subclasses__()
    return PlayhallError


def encode_ok(command_id: int, **fields: object) -> bytes:
    """Write the `ok` reply to a command."""
    return orjson.dumps({"re": command_id, "type": "ok", **fields})
