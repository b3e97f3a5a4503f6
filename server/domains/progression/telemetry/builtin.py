"""The types of events that the reports read, which every server knows from its first start."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from protocol.telemetry import EventPurpose


class BuiltIn(NamedTuple):
    """A type and the first version of its schema."""

    event_type: str
    schema: Mapping[str, Any]
    purpose: EventPurpose = "analytics"
    kept_days: int = 90


_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 128}
_ORDER: Final = {"type": "integer", "minimum": 0, "maximum": 1_000_000}


def _object(required: Mapping[str, Any], **optional: Any) -> Mapping[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
    }


BUILT_IN: Final = (
    # Reached a step of a quest.
    BuiltIn("quest_step", _object({"quest": _NAME, "step": _NAME, "order": _ORDER})),
    # Finished a chapter, after so many seconds of play.
    BuiltIn(
        "chapter",
        _object(
            {"chapter": _NAME, "seconds": {"type": "number", "minimum": 0, "maximum": 10_000_000}},
            order=_ORDER,
        ),
    ),
    # Chose an option; `tone` is the author's own word for what it is, such as satire.
    BuiltIn("choice", _object({"choice": _NAME, "option": _NAME}, tone=_NAME)),
    # Began and ended a stretch of play.
    BuiltIn("session", _object({"state": {"enum": ["start", "end"]}}, seconds={"type": "number"})),
)
