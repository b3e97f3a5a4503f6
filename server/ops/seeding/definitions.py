"""What The Long Winter needs on a server, as editors would define it. Pure."""

import io
import zipfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from persistence.telemetry.schemas import NewTelemetrySchema
from protocol.inventory import CurrencyRequest, ItemRequest, RecipeRequest
from protocol.packages import NewPackage, SaveSupport
from protocol.quests import QuestRequest, SeasonRequest, TimedEventRequest
from protocol.saves import SaveSchemaRequest
from protocol.schemas import JsonObject
from server.ops.seeding.story import CHAPTERS, COUNTERS, ENDINGS, LOG_TITLE, SCENES, TITLE

ZONE: Final = "Europe/London"
EVENT: Final = "lantern_week"
SEASON: Final = "winter"
# Long enough to be open while somebody looks at what was seeded.
SEASON_DAYS: Final = 90
EVENT_DAYS: Final = 60
_AHEAD: Final = timedelta(days=1)  # the event is open already when the first reader comes
PACKAGE_BYTES_MIN: Final = 3 * 512 * 1024  # more than clients ask for at once, so it can break off

_NAMES: Final[JsonObject] = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}


def save_schema(seed: int) -> SaveSchemaRequest:
    """Describe a state, and how two are merged; the seed is on record in it."""
    counters: JsonObject = {name: {"type": "integer", "minimum": 0} for name in COUNTERS}
    properties: JsonObject = {
        "chapter": {"type": "integer", "minimum": 1, "maximum": len(CHAPTERS)},
        "scene": {"enum": [*SCENES, *ENDINGS]},
        "flags": {"type": "object", "additionalProperties": {"type": "boolean"}},
        "counters": {"type": "object", "properties": counters},
        "choices": {"type": "object", "additionalProperties": {"type": "string"}},
        "lore": _NAMES,
        "cosmetics": _NAMES,
        "ending": {"type": "string"},
    }
    return SaveSchemaRequest(
        json_schema={
            "$comment": seed_command(seed),
            "type": "object",
            "required": list(properties),
            "properties": properties,
        },
        merge={
            "/chapter": "max",
            "/scene": "newest",
            "/flags/*": "newest",
            "/counters/*": "sum",
            "/choices/*": "ask",
            "/lore": "union",
            "/cosmetics": "union",
        },
    )


def seed_command(seed: int) -> str:
    """Say in the save schema how the story came here."""
    return f"playhall seed narrative --seed {seed}"


LOG_SCHEMA: Final = SaveSchemaRequest(json_schema={"type": "object"}, merge={"/*": "server"})

ITEMS: Final[Mapping[str, ItemRequest]] = {
    "rope": ItemRequest(name="Rope", is_server_owned=False, holding_max=20),
    "lamp_oil": ItemRequest(
        name="Lamp oil",
        description="A can of it burns for a night.",
        is_server_owned=False,
        holding_max=99,
        limits={"per_transaction": 5},  # type: ignore[arg-type]  # validated by the model
    ),
    "brass": ItemRequest(name="Brass", is_server_owned=False, holding_max=99),
    "lantern": ItemRequest(name="Lantern", description="Of brass, and lit."),
    "brass_key": ItemRequest(name="The keeper's brass key", holding_max=1),
}
CURRENCIES: Final[Mapping[str, CurrencyRequest]] = {
    "shillings": CurrencyRequest(name="Shillings", scope="slot"),
    "lights": CurrencyRequest(name="Lights", scope="account"),
}
RECIPES: Final[Mapping[str, RecipeRequest]] = {
    "lantern": RecipeRequest(
        name="Build a lantern",
        takes={"items": {"brass": 2, "lamp_oil": 1}},  # type: ignore[arg-type]  # as above
        gives={"items": {"lantern": 1}, "lore": ["how_to_build_a_lantern"]},  # type: ignore[arg-type]
    ),
    "oil_from_the_merchant": RecipeRequest(
        name="Buy a can of oil",
        kind="trade",
        takes={"currencies": {"shillings": 3}},  # type: ignore[arg-type]
        gives={"items": {"lamp_oil": 1}},  # type: ignore[arg-type]
    ),
}

_HAS_OIL: Final = 'items["lamp_oil"] >= 1 || items["lantern"] >= 1'
_QUESTS: Final[Mapping[str, dict[str, Any]]] = {
    "light_the_lamp": {
        "title": "Light the lamp",
        "description": "The lighthouse is dark, and winter has come early.",
        "steps": [
            {"kind": "report", "name": "hear", "description": "Hear what happened."},
            {"kind": "condition", "name": "find_oil", "when": _HAS_OIL},
            {"kind": "condition", "name": "cross", "when": "flags.crossed_ice"},
            {"kind": "condition", "name": "light", "when": "flags.lamp_lit"},
        ],
        "fails_when": "flags.lens_sold",
        "reward_bundle": {
            "currencies": {"shillings": 25, "lights": 3},
            "lore": ["the_long_winter"],
            "flags": {"winter_over": True},
        },
    },
    "keepers_letter": {
        "title": "The keeper's letter",
        "required_flags": "flags.kept_word || flags.read_letter",
        "steps": [{"kind": "report", "name": "hand_over"}],
        "reward_bundle": {"items": {"brass_key": 1}, "cosmetics": ["keepers_scarf"]},
    },
    "the_drowned_bell": {
        "title": "The drowned bell",
        "hidden": True,
        "required_flags": '"the_drowned_bell" in lore',
        "steps": [{"kind": "report", "name": "ring"}],
        "reward_bundle": {"currencies": {"lights": 2}},
    },
    "thiefs_bargain": {
        "title": "A thief's bargain",
        "required_flags": "flags.thief",
        "steps": [{"kind": "condition", "name": "own_up", "when": "flags.honest"}],
        "fails_when": "flags.crossed_ice && !flags.honest",
        "reward_bundle": {"currencies": {"shillings": 10}},
    },
    "lantern_week": {
        "title": "The week of lanterns",
        "event": EVENT,
        "required_flags": "counters.wit >= 0 && play_time_s > 0",
        "steps": [{"kind": "condition", "name": "show", "when": 'items["lantern"] >= 1'}],
        "reward_bundle": {"currencies": {"lights": 1}, "cosmetics": ["paper_lantern"]},
    },
}
QUESTS: Final = {name: QuestRequest.model_validate(each) for name, each in _QUESTS.items()}
# A quest in the saves that are logs: its condition asks about what the rules have simulated.
LOG_QUESTS: Final = {
    "keepers_confidence": QuestRequest.model_validate(
        {
            "title": "The keeper's confidence",
            "required_flags": "flags.knows_keeper",
            "steps": [{"kind": "condition", "name": "hear", "when": '"the_keepers_debt" in lore'}],
            "reward_bundle": {"currencies": {"lights": 1}},
        }
    )
}


def make_season(anchor: datetime) -> SeasonRequest:
    """Make the season that was open when the story came here, and still is for weeks."""
    return SeasonRequest(
        title="Winter",
        starts_at=_local(anchor),
        zone=ZONE,
        duration_s=SEASON_DAYS * 86_400,
    )


def make_timed_events(anchor: datetime) -> Mapping[str, TimedEventRequest]:
    """Make the timed events: one that is open, and one that comes again every week."""
    return {
        EVENT: TimedEventRequest(
            title="The week of lanterns",
            description="Show your lantern.",
            starts_at=_local(anchor),
            zone=ZONE,
            duration_s=EVENT_DAYS * 86_400,
            season=SEASON,
        ),
        "night_market": TimedEventRequest(
            title="The night market",
            starts_at=_local(anchor, hour="18:00"),
            zone=ZONE,
            duration_s=4 * 3600,
            recurrence="FREQ=WEEKLY;BYDAY=FR,SA",
        ),
    }


def _local(anchor: datetime, hour: str = "00:00") -> str:
    return f"{(anchor - _AHEAD).date().isoformat()}T{hour}"


EVENT_TYPES: Final = (
    NewTelemetrySchema(
        "story_ended",
        1,
        {
            "type": "object",
            "required": ["ending", "play_time_s"],
            "properties": {
                "ending": {"enum": list(ENDINGS)},
                "play_time_s": {"type": "integer", "minimum": 0},
            },
        },
        "analytics",
        90,
    ),
)


class PackageFile(NamedTuple):
    """A package, and its bytes."""

    new: NewPackage
    content: bytes


def make_packages() -> list[PackageFile]:
    """Make the packages: two versions in the stable channel, one to come, and a translation.

    The same bytes each time, so that their checksums are known.
    """
    supports = SaveSupport(title=TITLE, oldest=1, newest=1)
    return [
        _package("1.0.0", "The first three chapters.", supports),
        _package("1.1.0", "The last chapter, and fewer gulls.", supports),
        _package("1.2.0", "Snow that falls.", supports, channel="beta", rollout_percent=25),
        _package("1.1.0", "Auf Deutsch.", supports, locale="de"),
    ]


def _package(
    version: str,
    notes: str,
    supports: SaveSupport,
    *,
    channel: str = "stable",
    locale: str = "und",
    rollout_percent: int = 100,
) -> PackageFile:
    content = _archive(version, locale)
    new = NewPackage(
        name=TITLE,
        version=version,
        channel=channel,
        locale=locale,
        release_notes=notes,
        checksum=f"sha256:{sha256(content).hexdigest()}",
        size=len(content),
        required_client_version="1.0.0",
        rollout_percent=rollout_percent,
        saves=supports,
    )
    return PackageFile(new, content)


def _archive(version: str, locale: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        story = {
            name: {"chapter": scene.chapter, "choices": list(scene.options)}
            for name, scene in SCENES.items()
        }
        said = {"title": TITLE, "prologue": LOG_TITLE, "version": version, "locale": locale}
        _add(archive, "story.json", orjson.dumps({**said, "scenes": story}))
        _add(archive, "snow.bin", _noise(f"{locale} {version}"))
    return file.getvalue()


def _noise(of: str) -> bytes:
    """Make bytes that stand for pictures; most are the same in each version."""
    shared, own = PACKAGE_BYTES_MIN - 32 * 1024, 32 * 1024
    return _stream("shared", shared) + _stream(of, own)


def _stream(of: str, size: int) -> bytes:
    blocks = (sha256(f"{of} {place}".encode()).digest() for place in range(-(-size // 32)))
    return b"".join(blocks)[:size]


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, (2026, 11, 29, 0, 0, 0)), content)
