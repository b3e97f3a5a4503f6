"""The `Prefer` header, and the media type that a client accepts. Pure."""

from typing import Final, Literal, NamedTuple

from server.gateway.rest.errors import RestError

JSON: Final = "application/json"
OBJECT: Final = "application/vnd.pgrst.object+json"
ARRAY: Final = "application/vnd.pgrst.array+json"
CSV: Final = "text/csv"

_VALUES: Final = {
    "return": ("representation", "minimal", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "missing": ("default", "null"),
    "handling": ("strict", "lenient"),
    "tx": ("commit", "rollback"),
}
_HEADER_CHARS_MAX: Final = 1000


class Preferences(NamedTuple):
    """What a client prefers. `applied` is what the answer says of it."""

    returns: str | None = None
    counted: str | None = None
    resolution: str | None = None
    missing: str | None = None
    is_strict: bool = False
    max_affected: int | None = None
    is_rehearsal: bool = False

    def applied(self, *names: str) -> str:
        """Write `Preference-Applied` for those of these preferences that were given."""
        given = {
            "resolution": self.resolution,
            "return": self.returns,
            "count": self.counted,
            "missing": self.missing,
            "handling": "strict" if self.is_strict else None,
            "max-affected": self.max_affected if self.is_strict else None,
            "tx": "rollback" if self.is_rehearsal else None,
        }
        listed = [(name, given[name]) for name in given if name in (*names, "tx")]
        return ", ".join(f"{name}={value}" for name, value in listed if value is not None)


def parse_preferences(header: str) -> Preferences:
    """Read a `Prefer` header; what is unknown is left out, or refused with `handling=strict`."""
    given: dict[str, str] = {}
    unknown: list[str] = []
    max_affected: int | None = None
    for part in header[:_HEADER_CHARS_MAX].split(","):
        name, _, value = part.strip().partition("=")
        if name in _VALUES and value in _VALUES[name]:
            given.setdefault(name, value)
        elif name == "max-affected" and value.isascii() and value.isdecimal():
            max_affected = min(int(value[:12]), 2**31)
        elif name and name != "timezone":
            unknown.append(part.strip())
    is_strict = given.get("handling") == "strict"
    if is_strict and unknown:
        raise RestError(
            400,
            "PGRST122",
            "Invalid preferences given with handling=strict",
            details=f"Invalid preferences: {', '.join(unknown)[:200]}",
        )
    return Preferences(
        returns=given.get("return"),
        counted=given.get("count"),
        resolution=given.get("resolution"),
        missing=given.get("missing"),
        is_strict=is_strict,
        max_affected=max_affected if is_strict else None,
        is_rehearsal=given.get("tx") == "rollback",
    )


class Media(NamedTuple):
    """How an answer is written."""

    kind: Literal["array", "object", "csv"]
    content_type: str
    is_stripped: bool = False


_ARRAY: Final = Media("array", f"{JSON}; charset=utf-8")


def choose_media(accept: str) -> Media:
    """Choose how to write an answer; raise `RestError` where nothing that is accepted can be."""
    for part in accept[:_HEADER_CHARS_MAX].split(",") if accept else ["*/*"]:
        kind, *parameters = (each.strip().lower() for each in part.split(";"))
        if kind in ("*/*", "application/*", JSON, ""):
            return _ARRAY
        is_stripped = "nulls=stripped" in parameters
        if kind in (OBJECT, "application/vnd.pgrst.object"):
            shown = f"{OBJECT};nulls=stripped" if is_stripped else OBJECT
            return Media("object", f"{shown}; charset=utf-8", is_stripped)
        if kind in (ARRAY, "application/vnd.pgrst.array"):
            shown = f"{ARRAY};nulls=stripped" if is_stripped else JSON
            return Media("array", f"{shown}; charset=utf-8", is_stripped)
        if kind in (CSV, "text/*"):
            return Media("csv", f"{CSV}; charset=utf-8")
    raise RestError(
        406, "PGRST107", f"None of these media types are available: {accept[:_HEADER_CHARS_MAX]}"
    )
