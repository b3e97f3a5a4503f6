"""What stays of a day in the store of objects. Pure: the same day gives the same bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from persistence.epochs import Day, StoredSlot
from server.domains.epochs.digest import exact_time


def summary_key(day: Day, number: int) -> str:
    """Say where the summary of a day's result is kept."""
    return f"epochs/{day.epoch_id}/summary-{number}.json"


def bot_key(day: Day, bot_id: str, number: int) -> str:
    """Say where a bot's figures of a day are kept."""
    return f"epochs/{day.epoch_id}/bots/{bot_id}-{number}.json"


def summary_uri(day: Day) -> str:
    """Say at which address the summary of a day is read."""
    return f"/v1/epochs/{day.epoch_id}/summary"


def bot_uri(day: Day, bot_id: str, number: int) -> str:
    """Say at which address a bot's figures of a day's result are read."""
    return f"/v1/epochs/{day.epoch_id}/bots/{bot_id}?result={number}"


def summary_of(
    day: Day,
    *,
    slots: Sequence[StoredSlot],
    number: int,
    result: Mapping[str, Any],
    names: Mapping[str, str],
) -> bytes:
    """Write a day's summary: its rules, what the slots held at last, and what it came to."""
    document = {
        "epoch_id": day.epoch_id,
        "day": day.day.isoformat(),
        "profile": day.profile_key,
        "starts_at": exact_time(day.starts_at),
        "freeze_at": exact_time(day.freeze_at),
        "ends_at": exact_time(day.ends_at),
        "slots": [_slot(slot) for slot in slots],
        "settlement": {
            **result,
            "number": number,
            "bots": [{**bot, "bot": names.get(bot["bot_id"])} for bot in result["bots"]],
        },
    }
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def bot_stats(day: Day, bot: Mapping[str, Any]) -> bytes:
    """Write what one bot did in a day."""
    document = {"epoch_id": day.epoch_id, "day": day.day.isoformat(), **bot}
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def _slot(slot: StoredSlot) -> dict[str, object]:
    return {
        "slot_index": slot.slot_index,
        "type": slot.slot_type,
        "label": slot.slot_label,
        "code": slot.code,
        "bot": slot.bot,
    }
