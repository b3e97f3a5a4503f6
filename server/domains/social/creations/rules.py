"""What a creation must be, beyond the shape of its fields. Pure."""

from contextlib import suppress
from datetime import date, timedelta
from typing import Any, Final

import orjson

from persistence.creations.store import CreationDraft, CreationState, RemixTerms
from protocol.creations import (
    ANALYTICS_DAYS_MAX,
    AnalyticsQuery,
    CreationChanges,
    CreationIncomplete,
    NewCreation,
    Remix,
    RemixRefused,
)
from protocol.errors import InvalidField
from protocol.ids import CreationId, UserId, new_id

# Which types of files a creation may have, by how their names begin.
_CONTENT: Final = {
    "image": ("image/",),
    "music": ("audio/",),
    "video": ("video/",),
    "text": ("application/pdf",),
    "multimodal": ("image/", "audio/", "video/", "application/pdf"),
}
# Days that can be asked for. Further ones have no counts, and the driver turns the very first and
# last that Python has into infinity, from which the database would count on for ever.
COUNTED_FROM: Final = date(1970, 1, 1)
COUNTED_TO: Final = date(9998, 12, 31)
_CLEARABLE: Final = frozenset(["description", "ai_tool", "prompt", "model", "seed"])


def draft_creation(new: NewCreation, owner: UserId) -> CreationDraft:
    """Turn what somebody sent into a draft; raise `InvalidField`."""
    _check_license(new.license, allow_remix=new.allow_remix)
    fields = new.model_dump()
    fields["creation_id"] = new.creation_id or CreationId(new_id())
    return CreationDraft(user_id=owner, **_stored(fields))


def draft_remix(
    remix: Remix, original: dict[str, Any], owner: UserId, *, is_own: bool
) -> CreationDraft:
    """Derive a draft from an original; raise `InvalidField` or `RemixRefused`."""
    given = remix.model_dump(exclude_none=True)
    taken = ("title", "description", "type", "license", "tags", "categories", "is_nsfw")
    fields = {
        **dict.fromkeys(("ai_tool", "prompt", "model", "seed")),
        **dict.fromkeys(("allow_remix", "allow_commercial"), False),
        **{name: original[name] for name in taken},
        **{name: {} for name in ("generation_params", "metadata")},
        "creation_id": CreationId(new_id()),
        **given,
    }
    draft = CreationDraft(user_id=owner, remix_of=original["creation_id"], **_stored(fields))
    _check_license(draft.license, allow_remix=draft.allow_remix)
    if not is_own:
        terms = RemixTerms(original["user_id"], original["license"], original["allow_commercial"])
        check_remix(terms, license_=draft.license, allow_commercial=draft.allow_commercial)
    return draft


def change_creation(
    state: CreationState, changes: CreationChanges, terms: RemixTerms | None
) -> CreationState:
    """Change what was sent; `terms` are those of the original, if it is another person's."""
    sent = {
        name: value
        for name, value in changes.model_dump(exclude_unset=True).items()
        if value is not None or name in _CLEARABLE
    }
    changed = state._replace(**_stored(sent))
    _check_license(changed.license, allow_remix=changed.allow_remix)
    if terms is not None:
        check_remix(terms, license_=changed.license, allow_commercial=changed.allow_commercial)
    return changed


def check_remix(terms: RemixTerms, *, license_: str, allow_commercial: bool) -> None:
    """Refuse what the licence of an original does not allow; raise `RemixRefused`."""
    if _has_term(terms.license, "nd"):
        raise RemixRefused(f"The original's licence, {terms.license}, does not allow remixes.")
    if _has_term(terms.license, "sa") and license_.lower() != terms.license.lower():
        raise RemixRefused(f"license: share it under the original's licence, {terms.license}.")
    is_noncommercial = _has_term(terms.license, "nc") or not terms.allow_commercial
    if allow_commercial and is_noncommercial:
        raise RemixRefused("The original does not allow commercial use, so its remix cannot.")


def check_content_type(type_: str, content_type: str, *, kind: str) -> None:
    """Refuse a file of another sort than its creation; raise `InvalidField`."""
    allowed = ("image/",) if kind == "thumbnail" else _CONTENT[type_]
    if not content_type.startswith(allowed):
        names = ", ".join(f"{each}*" if each.endswith("/") else each for each in allowed)
        problem = f"content_type: the {kind} of this creation is {names}."
        raise InvalidField(problem, field="content_type")


def require_publishable(state: CreationState) -> None:
    """Refuse to publish what has nothing to show; raise `CreationIncomplete`."""
    if state.type != "text" and state.file_url is None:
        raise CreationIncomplete


def analytics_range(query: AnalyticsQuery, today: date) -> tuple[date, date]:
    """Say which days to count; raise `InvalidField`."""
    last = _day("last", query.last) or today
    first = _day("first", query.first) or last - timedelta(days=29)
    if not timedelta(0) <= last - first < timedelta(days=ANALYTICS_DAYS_MAX):
        problem = f"first: choose 1 to {ANALYTICS_DAYS_MAX} days, up to the last."
        raise InvalidField(problem, field="first")
    return first, last


def _day(name: str, text: str | None) -> date | None:
    if text is None:
        return None
    with suppress(ValueError):
        day = date.fromisoformat(text)
        if COUNTED_FROM <= day <= COUNTED_TO:
            return day
    raise InvalidField(f"{name}: there is no such day.", field=name)


def _check_license(license_: str, *, allow_remix: bool) -> None:
    if allow_remix and _has_term(license_, "nd"):
        problem = f"allow_remix: the licence {license_} does not allow remixes."
        raise InvalidField(problem, field="allow_remix")


def _has_term(license_: str, term: str) -> bool:
    """Say whether a Creative Commons licence has one of its terms: nc, nd or sa."""
    parts = license_.lower().replace(" ", "-").split("-")
    return parts[0] == "cc" and term in parts


def _stored(fields: dict[str, Any]) -> dict[str, Any]:
    stored = dict(fields)
    for name in ("generation_params", "metadata"):
        if name in stored:
            stored[name] = orjson.dumps(stored[name])
    for name in ("tags", "categories"):
        if name in stored:
            stored[name] = list(dict.fromkeys(stored[name]))
    return stored
