"""Commands of games, from the wire to the host."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial

from persistence.bus import Bus
from persistence.games import GameStore
from protocol import game as wire
from protocol.errors import (
    Forbidden,
    GameNotFound,
    GameOver,
    NotSeated,
    PlayhallError,
)
from protocol.ids import GameId
from server.domains.games.access import Access, committed
from server.domains.games.audience import Lens, in_the_open
from server.domains.games.delayed import DelayedStream
from server.domains.games.host import Host, Reply, reply_of
from server.domains.games.hosting import Hosting
from server.domains.games.pictures import head_of, picture_of
from server.domains.games.recovery import recover, tell
from server.domains.games.streams import (
    READ_ROWS,
    begin_anew,
    catch_up,
    check_after,
    follow,
    follow_chat,
    send_chunks,
)
from server.gamekit.fold import AnyRuleset
from server.gamekit.table import answer_of
from server.gateway.dispatch import Route, Routes
from server.gateway.framing import text_frame
from server.gateway.session import Session
from server.kernel.clock import Clock

log = logging.getLogger(__name__)


def reply_when_committed(session: Session, command_id: int, what: int | PlayhallError) -> None:
    """Answer a move: the index of its first event, or why not."""
    if isinstance(what, int):
        told = b'{"re":%d,"type":"ok","event_index":%d}' % (command_id, what)
        session.socket.send(text_frame(told))
    else:
        session.refuse(command_id, what)


class GameCommands:
    """The room's handlers."""

    def __init__(
        self,
        *,
        hosting: Hosting,
        store: GameStore,
        rulesets: Mapping[str, AnyRuleset],
        access: Access,
        bus: Bus,
        clock: Clock,
    ) -> None:
        self._hosting = hosting
        self._store = store
        self._rulesets = rulesets
        self._access = access
        self._bus = bus
        self._clock = clock

    def routes(self) -> Routes:
        """Say which handler carries out which command."""
        return {
            wire.Act: Route(immediate=self.act),
            wire.Resume: Route(awaited=self.resume, cost=3),
            wire.Watch: Route(awaited=self.watch, cost=3),
            wire.Unwatch: Route(awaited=self.unwatch),
            wire.Leave: Route(awaited=self.leave),
            wire.Snapshot: Route(awaited=self.snapshot, cost=3),
        }

    # ------------------------------------------------------------------ moves

    def act(self, session: Session, command: wire.Act) -> None:
        """Make a move; the answer comes when it is committed."""
        host = self._hosting.here(command.game_id)
        seat = host.seat_of(session.who.player_id) if host is not None else None
        if host is None or seat is None:
            work = self._act_later(session, command)
            session.sessions.tasks.work(work, name="a move in a game not in memory")
            return
        reply: Reply = partial(reply_when_committed, session, command.id)
        host.act(seat, command.cmd_no, command.move, reply)

    async def _act_later(self, session: Session, command: wire.Act) -> None:
        reply: Reply = partial(reply_when_committed, session, command.id)
        try:
            host = await self._hosting.find(command.game_id)
            seat = await self._access.seat_at(host, session.who.player_id)
            host.act(seat, command.cmd_no, command.move, reply)
        except GameOver:
            reply(await self._answered_before(session, command))
        except PlayhallError as error:
            reply(error)
        except Exception:
            log.exception("a move in game %s failed", command.game_id)
            reply(PlayhallError())

    async def _answered_before(self, session: Session, command: wire.Act) -> int | PlayhallError:
        """Find the reply of a command that was carried out before its game ended."""
        try:
            seat = await self._access.seat_in(command.game_id, session.who.player_id)
            if seat is None:
                return GameOver()
            row = await self._store.event_of(command.game_id, seat=seat, cmd_no=command.cmd_no)
        except PlayhallError as error:
            return error
        return GameOver() if row is None else reply_of(answer_of(row.event_index, tell(row).event))

    # ------------------------------------------------------------------ streams

    async def resume(self, session: Session, command: wire.Resume) -> dict[str, object]:
        """Take the stream of one's seat."""
        try:
            host = await self._hosting.find(command.game_id)
        except GameOver:
            return await self._read_finished(session, command.game_id, command.after, seated=True)
        seat = await self._access.seat_at(host, session.who.player_id)
        check_after(command.after, host.head)
        begin_anew(session, command.game_id)
        if not session.socket.closing:  # else nobody is there who could come back
            _come_back(host, seat)
        after = await catch_up(host, session, seat, after=command.after)
        head = await follow(host, self._store, session, seat, after=after)
        follow_chat(self._bus, session, command.game_id)
        return head_of(head, seat, host.fold.table.chairs[seat].cmd_no, host.status)

    async def watch(self, session: Session, command: wire.Watch) -> dict[str, object]:
        """Follow as a spectator; a player who had left becomes one."""
        try:
            host = await self._hosting.find(command.game_id)
        except GameOver:
            return await self._read_finished(session, command.game_id, command.after, seated=False)
        await self._access.check_host(host, session.who.player_id)
        seen = await self._access.horizon(
            host.game_id, None, head=host.head, delay_s=host.spectator_delay_s
        )
        check_after(command.after, seen)
        seat = host.seat_of(session.who.player_id)
        if seat is not None:
            _look_on(host, seat)
        begin_anew(session, command.game_id)
        if delay_s := max(command.delay_s, host.spectator_delay_s):
            return self._watch_later(host, session, command.after, delay_s)
        after = await catch_up(host, session, None, after=command.after)
        head = await follow(host, self._store, session, None, after=after)
        follow_chat(self._bus, session, command.game_id)
        return head_of(head, None, 0, host.status)

    def _watch_later(
        self, host: Host, session: Session, after: int, delay_s: float
    ) -> dict[str, object]:
        """Follow at a distance in time, from the same log; its end is told like any event."""
        lens = host.audience.lens
        stream = DelayedStream(
            host.game_id, lens, store=self._store, clock=self._clock, delay_s=delay_s
        )
        work = stream.run(session, after=after)
        task = session.sessions.tasks.work(work, name="delayed spectator")
        session.follow(("game", host.game_id), partial(_cancel, task))
        follow_chat(self._bus, session, host.game_id)
        return head_of(after, None, 0, "in_progress")

    async def unwatch(self, session: Session, command: wire.Unwatch) -> None:
        """Stop following."""
        if not session.unfollow(("game", command.game_id)):
            raise GameNotFound("You do not follow this game.")
        session.unfollow(("game-chat", command.game_id))

    async def leave(self, session: Session, command: wire.Leave) -> dict[str, object]:
        """Give up one's seat; answered when that is committed."""
        host = await self._hosting.find(command.game_id)
        seat = await self._access.seat_at(host, session.who.player_id)
        chair = host.fold.table.chairs[seat]
        if chair.present:
            await committed(partial(host.note, "player_left", seat))
        session.unfollow(("game", command.game_id))
        return head_of(host.head, seat, chair.cmd_no, host.status)

    async def snapshot(self, session: Session, command: wire.Snapshot) -> dict[str, object]:
        """Give the whole picture at a committed index."""
        try:
            host = await self._hosting.find(command.game_id)
        except GameOver:
            return await self._snapshot_finished(session, command.game_id)
        viewer = host.seat_of(session.who.player_id)
        if viewer is None:
            await self._access.check_host(host, session.who.player_id)
        if not self._access.is_at_the_table(host.game_id, session.who.player_id):
            _check_no_delay(host)
        picture = picture_of(host.fold, viewer)
        await committed(host.when_committed)  # the state runs ahead; what leaves does not
        return picture

    # ------------------------------------------------------------------ finished games

    async def _read_finished(
        self, session: Session, game_id: GameId, after: int, *, seated: bool
    ) -> dict[str, object]:
        """Send the whole log, with nothing hidden any more."""
        game = await self._access.readable(game_id, session.who.player_id)
        check_after(after, game.next_event_index - 1)
        lens = Lens(game_id, in_the_open)
        cursor = after
        while rows := await self._store.read(game_id, after=cursor, limit=READ_ROWS):
            told = [tell(row) for row in rows]
            await send_chunks(session, lens, told, None)
            cursor = rows[-1].event_index
        seat = await self._access.seat_in(game_id, session.who.player_id) if seated else None
        return head_of(cursor, seat, 0, "completed")

    async def _snapshot_finished(self, session: Session, game_id: GameId) -> dict[str, object]:
        game = await self._access.readable(game_id, session.who.player_id)
        rows = await self._store.read_all(game_id)
        scribe = recover(game, rows, self._rulesets.get(game.ruleset))
        viewer = scribe.fold.table.seats.get(session.who.player_id)
        return picture_of(scribe.fold, viewer)


def _come_back(host: Host, seat: int) -> None:
    """Note a return, except to a game that is decided: its last events are on their way."""
    chair = host.fold.table.chairs[seat]
    if host.fold.table.completed:
        return
    if not chair.present:
        host.note("player_joined", seat)
    elif not chair.connected:
        host.note("player_reconnected", seat)


def _look_on(host: Host, seat: int) -> None:
    if host.fold.table.chairs[seat].present:
        raise NotSeated("You sit at this table; use game.resume, or game.leave first.")
    if not host.fold.table.completed:
        host.note("player_became_spectator", seat)


def _check_no_delay(host: Host) -> None:
    if host.spectator_delay_s:
        raise Forbidden(
            f"Spectators see this game {host.spectator_delay_s:g} s later; use game.watch."
        )


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
