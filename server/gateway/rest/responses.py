"""Status and headers of an answer. Pure."""

from typing import NamedTuple

from server.gateway.rest.errors import RestError, not_single
from server.gateway.rest.planner import Call, Insert, Plan
from server.gateway.rest.preferences import Preferences
from server.gateway.rest.query import Query


class RestResponse(NamedTuple):
    """What a client is sent."""

    status: int
    headers: dict[str, str]
    body: bytes


def content_range(lower: int, rows: int, total: int | None) -> str:
    """Write `Content-Range`: which rows these are, and of how many."""
    found = f"{lower}-{lower + rows - 1}" if rows and total != 0 else "*"
    return f"{found}/{'*' if total is None else total}"


def respond_to_read(
    plan: Plan,
    query: Query,
    prefer: Preferences,
    body: str | None,
    page: int,
    total: int | None,
    profile: str | None,
) -> RestResponse:
    """Answer a read, or the call of a function."""
    lower = max(0, query.offsets.get((), 0))
    is_call = isinstance(plan.source, Call)
    if isinstance(plan.source, Call) and plan.source.function.returns == "void":
        return RestResponse(204, {"Content-Range": content_range(0, 1, None)}, b"")
    if total is not None and lower > total:
        raise RestError(
            416,
            "PGRST103",
            "Requested range not satisfiable",
            details=f"An offset of {lower} was requested, but there are only {total} rows.",
            headers={"Content-Range": content_range(lower, 0, total)},
        )
    if plan.media.kind == "object" and not plan.is_scalar and page != 1:
        raise not_single(page)
    headers = {
        "Content-Type": plan.media.content_type,
        "Content-Range": content_range(lower, page, total),
    }
    applied = ("count", "handling", "max-affected") if is_call else ("count", "handling")
    _add(headers, prefer.applied(*applied), profile)
    status = 206 if total is not None and page < total else 200
    return RestResponse(status, headers, (body or "").encode())


def respond_to_change(
    plan: Plan,
    prefer: Preferences,
    *,
    body: str | None,
    page: int,
    inserted: int | None,
    is_put: bool,
    profile: str | None,
) -> RestResponse:
    """Answer an insert, an update or a delete."""
    total = page if plan.is_counted else None
    shown = (body or "").encode() if plan.returns_rows else b""
    headers: dict[str, str] = {}
    if plan.returns_rows:
        headers["Content-Type"] = plan.media.content_type
    names = ["return", "count", "handling"]
    if isinstance(plan.source, Insert):
        names += ["missing"]
        if plan.source.conflict:
            names += ["resolution"]
        headers["Content-Range"] = content_range(0, 0, total)
        is_new = inserted is None or inserted > 0
        if is_put:
            status = (201 if is_new else 200) if plan.returns_rows else 204
        else:
            status = 201 if is_new else 200
    else:
        names += ["missing", "max-affected"]
        headers["Content-Range"] = content_range(0, page, total)
        status = 200 if plan.returns_rows else 204
    _add(headers, prefer.applied(*names), profile)
    return RestResponse(status, headers, shown)


def _add(headers: dict[str, str], applied: str, profile: str | None) -> None:
    if applied:
        headers["Preference-Applied"] = applied
    if profile is not None:
        headers["Content-Profile"] = profile
