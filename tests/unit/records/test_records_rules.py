"""The pure parts of records: cursors, pages and ranks."""

from datetime import UTC, datetime, timedelta

import pytest

from persistence.history.store import HistoryPosition, LeaderboardEntry, StoredMatch
from protocol.errors import InvalidField
from protocol.ids import MatchId, PlayerId, new_id
from protocol.limits import CURSOR_CHARS_MAX
from server.domains.play.history import views
from server.domains.play.history.views import CURSOR, START, read_cursor

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _match(at: datetime = AT) -> StoredMatch:
    return StoredMatch(MatchId(new_id()), None, "peer", None, None, at, None, None, [], None)


def _entry(value: float) -> LeaderboardEntry:
    return LeaderboardEntry(PlayerId(new_id()), "", is_bot=False, value=value, games_played=1)


@pytest.mark.parametrize(
    "ended_at",
    [AT, AT + timedelta(microseconds=1), datetime(1969, 7, 20, tzinfo=UTC), START.ended_at],
)
def test_cursor_comes_back_as_it_was(ended_at: datetime) -> None:
    position = HistoryPosition(ended_at, MatchId(new_id()))
    cursor = CURSOR.write(position)
    assert read_cursor(cursor) == position
    assert len(cursor) <= CURSOR_CHARS_MAX


def test_no_cursor_is_the_start() -> None:
    assert read_cursor(None) == START


@pytest.mark.parametrize("cursor", ["", "é", "AAAA", "MS4x", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS4x"])
def test_made_up_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        read_cursor(cursor)
    assert refusal.value.field == "cursor"


def test_full_page_names_its_last_match() -> None:
    found = [_match(AT - timedelta(seconds=n)) for n in range(3)]
    page = views.page(found, 2)
    assert [one.match_id for one in page.matches] == [one.match_id for one in found[:2]]
    assert page.next == CURSOR.write(HistoryPosition(AT - timedelta(seconds=1), found[1].match_id))


def test_last_page_names_no_next() -> None:
    assert views.page([_match(), _match()], 2).next is None
    assert views.page([], 2).next is None


def test_equal_values_share_a_rank_and_leave_a_gap() -> None:
    board = views.leaderboard("wins", [_entry(value) for value in (5, 3, 3, 3, 1)])
    assert [row.rank for row in board.rows] == [1, 2, 2, 2, 5]
