"""The pure parts of accounts: names, and the verdict on a refresh token."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from server.domains.people.accounts.names import NUMBER_BITS, generate_names
from server.domains.people.accounts.refresh_tokens import (
    REPEAT_S,
    RefreshVerdict,
    derive_successor,
    find_refresh_error,
    token_hash,
)

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def _ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize("number", [0, 1, 2**NUMBER_BITS - 1, 0x0123456789ABCDEF01234567])
def test_every_number_makes_names_that_fit(number: int) -> None:
    names = generate_names(number)
    assert re.fullmatch(r"[a-z]+_[a-z]+_[0-9a-z]{5}", names.username)
    assert 3 <= len(names.username) <= 24
    assert names.username.startswith(names.display_name.lower().replace(" ", "_"))


def test_the_longest_name_fits() -> None:
    longest = max(len(generate_names(n).display_name) for n in range(64 * 66))
    assert longest + len("_12345") <= 24


def test_numbers_spread_over_names() -> None:
    step = 2**NUMBER_BITS // 10_000
    assert len({generate_names(n * step + n).username for n in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    ("used_at", "is_ended", "is_successor_used", "verdict"),
    [
        (None, False, False, RefreshVerdict.EXPIRED),
        (_ago(0), False, False, RefreshVerdict.REPEATED),
        (_ago(0), False, True, RefreshVerdict.REUSED),
        (_ago(REPEAT_S), False, False, RefreshVerdict.REPEATED),
        (_ago(REPEAT_S + 0.001), False, False, RefreshVerdict.REUSED),
        (_ago(-5), False, False, RefreshVerdict.REPEATED),  # another node's clock is ahead
        (_ago(0), True, True, RefreshVerdict.REVOKED),
        (None, True, False, RefreshVerdict.REVOKED),
    ],
)
def test_verdict_on_a_token_that_comes_back(
    used_at: datetime | None, is_ended: bool, is_successor_used: bool, verdict: RefreshVerdict
) -> None:
    found = find_refresh_error(
        used_at=used_at,
        is_ended=is_ended,
        is_successor_used=is_successor_used,
        expires_at=NOW,
        now=NOW,
    )
    assert found is verdict


def test_successor_needs_both_the_token_and_the_salt() -> None:
    successor = derive_successor("token", "salt")
    assert re.fullmatch(r"[\w-]{43}\.[\w-]{22}", successor)
    assert successor == derive_successor("token", "salt")
    assert (
        len({successor, derive_successor("token", "other"), derive_successor("other", "salt")}) == 3
    )
    assert len(token_hash(successor)) == 32
