"""Generates commands from the AsyncAPI document: valid ones, and valid ones with a fault in them.

Everything comes from one `random.Random`, so a seed names a run. Nothing here knows a
command by name: what the document gains, the fuzzer tries.
"""

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

Json = dict[str, Any]

INT_MAX: Final = 2**53 - 1
DEEP: Final = 200
# JSON that `json.dumps` does not write: it is put in the place of these strings afterwards.
RAW: Final = {"<1e400>": "1e400", "<-1e400>": "-1e400", "<digits>": "9" * 10_000, "<-0.0>": "-0.0"}

INTEGERS: Final = (
    *(0, 1, -1, 2, 7, 255, 256, 32_767, 32_768, 65_535, 65_536),
    *(2**31 - 1, 2**31, -(2**31) - 1, 2**32, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63)),
)
NUMBERS: Final = (1.0, 2.0, 0.5, -1.5, 1e-300, 1e22, 1e308, "<1e400>", "<-1e400>", "<-0.0>")
TEXTS: Final = (
    *("", " ", "a", "007", "true", "null", "2024", "a" * 65, "a" * 5_000, "\x00", "a\x00b", "\x7f"),
    *(
        "\ud800",
        "\udfff\ud800",
        "\u200b",
        "\u202e",
        "\u3164",
        "\u212aelvin",
        "Å",
        "A\u030a",
        "😀" * 40,
    ),
    *("'; DROP TABLE games; --", "%", "_", "\\", "../../etc/passwd", "<script>", "\r\nX: y", "{}"),
    *("00000000-0000-0000-0000-000000000000", "NaN", "1e3", "0x10", "-0", "\uff12"),
)
NOT_JSON: Final = (float("nan"), float("inf"), "<digits>")


class Frame(NamedTuple):
    """A text frame; `command_id` is None where the frame has no id that can be answered to."""

    text: str
    command: str
    command_id: int | None


class Grammar:
    """Writes frames; `known` has values to use by field name, such as ids that exist."""

    def __init__(
        self, document: Json, chance: random.Random, known: Mapping[str, Sequence[object]]
    ) -> None:
        self._schemas: Json = document["components"]["schemas"]
        messages: Json = document["components"]["messages"]
        self.commands: dict[str, Json] = {
            name: messages[name]["payload"]
            for name, operation in document["operations"].items()
            if operation["action"] == "receive"
        }
        self._chance = chance
        self._known = known

    def frame(self, command: str, command_id: int) -> Frame:
        """Write a frame of this command, in most cases with a fault in it."""
        fields = self._value(self.commands[command], command)
        assert isinstance(fields, dict)
        fields["id"] = command_id
        for _ in range(self._chance.choice((0, 0, 1, 1, 2))):
            self._break(fields)
        if _is_id(fields.get("id")) or fields.get("id") == "<-0.0>":  # not another frame's
            fields["id"] = self._chance.choice((command_id, command_id, float(command_id)))
        text = json.dumps(fields)
        for name, raw in RAW.items():
            text = text.replace(f'"{name}"', raw)
        if self._chance.random() < 0.01:
            text = text[: self._chance.randrange(len(text))]
        return Frame(text, command, _answerable(text, command_id))

    # ------------------------------------------------------------------ valid values

    def _value(self, schema: Json, field: str) -> object:
        if "$ref" in schema:
            return self._value(self._schemas[schema["$ref"].rpartition("/")[2]], field)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._chance.choice(schema["enum"])
        if "anyOf" in schema:
            return self._value(self._chance.choice(schema["anyOf"]), field)
        if field in self._known and self._chance.random() < 0.8:
            return self._chance.choice(self._known[field])
        match schema.get("type"):
            case "object":
                return self._object(schema)
            case "array":
                most = min(schema.get("maxItems", 3), 3)
                count = self._chance.randint(min(schema.get("minItems", 0), most), most)
                return [self._value(schema["items"], field) for _ in range(count)]
            case "string":
                return self._text(schema)
            case "integer":
                return self._chance.randint(*_bounds(schema, 2**31 - 1))
            case "number":
                return self._chance.uniform(*_bounds(schema, 1000))
            case "boolean":
                return self._chance.random() < 0.5
            case "null":
                return None
            case _:
                return self._anything()

    def _object(self, schema: Json) -> Json:
        made: Json = {}
        for name, field in schema.get("properties", {}).items():
            if name in schema.get("required", ()) or self._chance.random() < 0.5:
                made[name] = self._value(field, name)
        if not schema.get("properties") and self._chance.random() < 0.8:
            made |= self._chance.choice(
                (
                    {"type": "relay", "data": self._anything()},
                    {"type": "drop", "column": self._chance.randint(0, 7)},
                    {"type": "bid", "bid": self._chance.randint(0, 10)},
                    {"type": "play_card", "card": "d0:spades:A"},
                    {"type": "end", "scores": {}},
                    {self._chance.choice(TEXTS[:20]): self._anything()},
                )
            )
        return made

    def _text(self, schema: Json) -> str:
        if "pattern" in schema:  # nearly all are ids
            return str(self._uuid())
        least, most = schema.get("minLength", 0), min(schema.get("maxLength", 40), 40)
        length = self._chance.randint(least, max(least, most))
        return "".join(self._chance.choice("abcXYZ019 -_.éß漢") for _ in range(length))

    def _uuid(self) -> str:
        digits = f"{self._chance.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    # ------------------------------------------------------------------ faults

    def _break(self, fields: Json) -> None:
        """Put one fault into a command."""
        where = self._chance.choice(list(_objects(fields)))
        kind = self._chance.randrange(10)
        names = list(where)
        if kind == 0 or not names:
            where[self._chance.choice(TEXTS)] = self._anything()
            return
        name = self._chance.choice(names)
        if kind == 1:
            del where[name]
        elif kind == 2:
            where[name] = _nested(DEEP)
        elif kind == 3:
            where[name] = self._chance.choice(NOT_JSON)
        elif isinstance(where[name], int | float) and kind < 8:
            where[name] = self._chance.choice((*INTEGERS, *NUMBERS))
        else:
            where[name] = self._anything()

    def _anything(self) -> object:
        plain = (*INTEGERS, *NUMBERS, *TEXTS, None, True, False)
        return self._chance.choice((*plain, [], {}, [[]], [None, 1, "a"], {"a": {"b": [1.5]}}))


def _answerable(text: str, command_id: int) -> int | None:
    """Give the id that the answer to a frame must have, if a strict parser finds it."""
    if "[" * DEEP in text:  # refused before anything in it is looked at
        return None
    try:
        found = orjson.loads(text)["id"]
    except (ValueError, KeyError, TypeError):
        return None
    return command_id if found == command_id and _is_id(found) else None


def _is_id(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= INT_MAX


def _bounds(schema: Json, most: int) -> tuple[int, int]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", most))
    return low, min(high, max(low, most))


def _nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


def _objects(value: object) -> list[Json]:
    if isinstance(value, dict):
        return [value, *(each for child in value.values() for each in _objects(child))]
    if isinstance(value, list):
        return [each for child in value for each in _objects(child)]
    return []
