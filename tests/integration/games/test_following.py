"""Following a game through a real session: from any index on, each event once, and no secret."""

import asyncio
from itertools import pairwise

import orjson
import pytest

from protocol.ids import PlayerId
from server.domains.play.games.live_game import LiveGame
from server.domains.play.games.recovery import decode_row
from server.domains.play.games.streams import READ_ROWS
from server.domains.play.games.subscribers import TAIL_EVENTS
from server.gateway.session.sessions import Session
from tests.integration.games.conftest import Room, act
from tests.integration.games.test_returns import Enter, FrameSink, enter, until

__all__ = ["enter"]


class Follower:
    """Somebody with a session, who sends commands and keeps what comes."""

    def __init__(self, session: Session, sink: FrameSink) -> None:
        self._session = session
        self.sink = sink
        self._asked = 0

    async def ask(self, kind: str, game: LiveGame, **fields: object) -> dict[str, object]:
        """Send a command; gives its reply."""
        self._asked += 1
        command = {"id": self._asked, "type": kind, "game_id": game.game_id, **fields}
        self._session.on_message(orjson.dumps(command))
        replies = self.sink.replies
        await until(self.sink, lambda: bool(replies) and replies[-1]["re"] == self._asked)
        return replies[-1]

    @property
    def indexes(self) -> list[int]:
        """The indexes of the events that came."""
        return [update["event_index"] for update in self.sink.updates]


async def log_of(room: Room, players: list[PlayerId], events: int) -> LiveGame:
    """Play a relay until its log has so many events."""
    game = await room.game("relay", [None] * len(players), players)
    for number in range(1, events - game.head):
        await act(game, 0, number, {"n": number})
    assert game.head == events - 1
    return game


async def test_resume_sends_what_follows_whether_it_is_at_hand_or_not(
    room: Room, enter: Enter
) -> None:
    ann, bob = await room.players(2)
    game = await log_of(room, [ann, bob], TAIL_EVENTS + 20)
    follower = Follower(*enter(bob))
    first_at_hand = game.tail[0].event_index
    for after in (-1, 0, *range(first_at_hand - 4, first_at_hand + 4), game.head - 1, game.head):
        follower.sink.updates.clear()
        reply = await follower.ask("game.resume", game, after=after)
        assert (reply["type"], reply["head"]) == ("ok", game.head)
        assert follower.indexes == list(range(after + 1, game.head + 1))


async def test_log_that_is_read_in_several_pieces_comes_whole(room: Room, enter: Enter) -> None:
    ann, bob = await room.players(2)
    game = await log_of(room, [ann, bob], 2 * READ_ROWS + TAIL_EVENTS + 20)
    follower = Follower(*enter(bob))
    await follower.ask("game.resume", game, after=-1)
    await act(game, 0, game.fold.table.seats[0].cmd_no + 1, {"n": "afterwards"})
    assert follower.indexes == list(range(game.head + 1))


async def test_second_resume_takes_the_place_of_the_first(room: Room, enter: Enter) -> None:
    ann, bob = await room.players(2)
    game = await log_of(room, [ann, bob], 5)
    follower = Follower(*enter(bob))
    for _ in range(3):
        await follower.ask("game.resume", game, after=game.head)
    await act(game, 1, 1, {"n": "once"})
    assert follower.indexes == [game.head]


async def test_resume_amid_moves_sends_each_event_once_to_who_followed_before(
    room: Room, enter: Enter
) -> None:
    ann, bob = await room.players(2)
    game = await log_of(room, [ann, bob], 2 * READ_ROWS)
    follower = Follower(*enter(bob))
    await follower.ask("game.resume", game, after=game.head)

    async def move() -> None:
        for number in range(1, 21):
            await act(game, 1, number, {"n": number})

    async with asyncio.TaskGroup() as group:
        group.create_task(follower.ask("game.resume", game, after=-1))
        group.create_task(move())
    assert follower.indexes == list(range(game.head + 1))


@pytest.mark.parametrize("after", [-2, 1, 2**40])
async def test_index_that_the_game_does_not_have_is_refused(
    room: Room, enter: Enter, after: int
) -> None:
    ann, bob = await room.players(2)
    game = await room.game("relay", [None, None], [ann, bob])
    follower = Follower(*enter(bob))
    assert game.head == 0
    assert (await follower.ask("game.resume", game, after=after))["type"] == "error"
    assert follower.sink.updates == []


async def test_player_is_sent_what_the_rules_show_them_and_no_more(
    room: Room, enter: Enter
) -> None:
    ann, bob = await room.players(2)
    game = await room.game("el_dorado", [None, None], [ann, bob])
    follower = Follower(*enter(bob))
    await follower.ask("game.resume", game, after=-1)
    rows = await room.store.read_log(game.game_id)
    events = [decode_row(row).event for row in rows]
    shown = [game.fold.ruleset.redact(event, 1) for event in events]
    assert shown != [event.payload for event in events]  # else there is nothing to hide
    sent = [update["payload"] for update in follower.sink.updates]
    assert sent[: len(shown)] == orjson.loads(orjson.dumps(shown))


async def test_commands_of_a_game_that_is_over_get_their_first_replies(
    room: Room, enter: Enter
) -> None:
    ann, bob = await room.players(2)
    game = await room.game("relay", [None, None], [ann, bob])
    guest, host = Follower(*enter(bob)), Follower(*enter(ann))
    first = [
        await host.ask("game.act", game, cmd_no=1, move={"n": 1}),
        await guest.ask("game.act", game, cmd_no=1, move={"n": 1}),
        await host.ask("game.act", game, cmd_no=2, move={"type": "end", "scores": 7}),
        await host.ask("game.act", game, cmd_no=3, move={"type": "end"}),
    ]
    assert [reply["type"] for reply in first] == ["ok", "ok", "error", "ok"]
    await room.completed(game.game_id)
    again = [
        await host.ask("game.act", game, cmd_no=1, move={"n": 1}),
        await guest.ask("game.act", game, cmd_no=1, move={"n": 1}),
        await host.ask("game.act", game, cmd_no=2, move={"type": "end", "scores": 7}),
        await host.ask("game.act", game, cmd_no=3, move={"type": "end"}),
    ]
    assert [{**reply, "re": 0} for reply in again] == [{**reply, "re": 0} for reply in first]
    indexes = [reply["event_index"] for reply in first]
    assert all(one < next_ for one, next_ in pairwise(indexes))
    assert (await host.ask("game.act", game, cmd_no=4, move={"n": 3}))["code"] == "game_over"
