"""Errors as PostgREST answers them: a code, and what to do about it. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import orjson


class RestError(Exception):
    """Why a request cannot be carried out; `code` is PostgREST's own, or a SQLSTATE."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Any = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Write the body of the answer."""
        return orjson.dumps(
            {
                "code": self.code,
                "details": _clean(self.details),
                "hint": _clean(self.hint),
                "message": _clean(self.message),
            }
        )


def _clean(said: Any) -> Any:
    """Make text of what a client may have put into it: a header need not be UTF-8."""
    return said.encode("utf-8", "replace").decode() if isinstance(said, str) else said


def not_parsed(what: str, text: str, at: int, *, found: str, expected: str) -> RestError:
    """Say where in a parameter the text stops making sense; `at` counts from 0."""
    unexpected = f'"{found}"' if found else "end of input"
    return RestError(
        400,
        "PGRST100",
        f'"failed to parse {what} ({text[:200]})" (line 1, column {at + 1})',
        details=f"unexpected {unexpected} expecting {expected}",
    )


def too_complex(what: str, limit: int) -> RestError:
    """Refuse what would take too much work."""
    return RestError(400, "PGRST100", f"Too many {what}: at most {limit} are allowed")


def not_single(rows: int) -> RestError:
    """Say that a single object was asked for and there is none, or several."""
    return RestError(
        406,
        "PGRST116",
        "Cannot coerce the result to a single JSON object",
        details=f"The result contains {rows} rows",
    )


def too_many_affected(rows: int) -> RestError:
    """Say that a change reached further than the client allowed."""
    return RestError(
        400,
        "PGRST124",
        "Query result exceeds max-affected preference constraint",
        details=f"The query affects {rows} rows",
    )


# What the first characters, or all, of a SQLSTATE mean over HTTP; the longest match counts. These
# are PostgREST's, which clients rely on.
_STATUSES: Final = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "21000": 500,
    "23503": 409,
    "23505": 409,
    "25": 500,
    "25006": 405,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "42883": 404,
    "42P01": 404,
    "42P17": 500,
    "53": 503,
    "53400": 500,
    "54": 500,
    "55": 500,
    "57": 500,
    "57P01": 503,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "P0001": 400,
    "XX": 500,
}


def status_of_sqlstate(sqlstate: str, *, is_anonymous: bool) -> int:
    """Say which HTTP status a SQLSTATE is answered with.

    A function may choose one itself: `RAISE SQLSTATE 'PT402'` is answered with 402.
    """
    if sqlstate == "42501":
        return 401 if is_anonymous else 403
    chosen = sqlstate[2:]
    if sqlstate.startswith("PT") and chosen.isdecimal() and 400 <= int(chosen) <= 599:
        return int(chosen)
    return _STATUSES.get(sqlstate) or _STATUSES.get(sqlstate[:2]) or 400
