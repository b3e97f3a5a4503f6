"""Commands of games, from the wire to the live game."""

import asyncio
from collections.abc import Mapping
from functools import partial

import orjson

from persistence.games.store import GameStore
from protocol import games as wire
from protocol.errors import (
    Forbidden,
    GameNotFound,
    GameOver,
    InvalidField,
    NotSeated,
    PlayhallError,
    Quarantined,
    Unavailable,
    WrongNode,
)
from protocol.ids import GameId
from protocol.limits import EVENT_INDEX_MAX
from server.core.clock import Clock
from server.core.subscriptions import Subscriptions, TopicKind
from server.domains.play.games.access import GameAccess, query_when_committed
from server.domains.play.games.inputs import Reply
from server.domains.play.games.live_game import LiveGame, reply_from_log
from server.domains.play.games.recovery import decode_row, recover_game
from server.domains.play.games.registry import GameRegistry
from server.domains.play.games.streams import (
    READ_ROWS,
    DelayedStream,
    follow_chat,
    follow_game,
    follow_in_real_time,
    require_index,
    send_chunks,
    send_snapshot_if_behind,
    stop_streams,
)
from server.domains.play.games.subscribers import ViewEncoder
from server.domains.play.games.views import build_head, build_snapshot
from server.gamekit.contract import Viewer
from server.gamekit.fold import AnyRuleset
from server.gamekit.table import compute_log_commitment, parse_command_reply
from server.gateway.session.sessions import CommandRoute, Routes, Session
from server.gateway.transport.framing import text_frame


def reply_when_committed(session: Session, command_id: int, what: int | PlayhallError) -> None:
    """Answer a move: the index of its first event, or why not."""
    if isinstance(what, int):
        reply = b'{"re":%d,"type":"ok","event_index":%d}' % (command_id, what)
        session.socket.send(text_frame(reply))
    else:
        session.refuse(command_id, what)


class GameCommands:
    """The handlers of the commands of games."""

    def __init__(
        self,
        *,
        registry: GameRegistry,
        store: GameStore,
        rulesets: Mapping[str, AnyRuleset],
        access: GameAccess,
        subscriptions: Subscriptions,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._store = store
        self._rulesets = rulesets
        self._access = access
        # What is said at games, to those who follow them.
        self.chat: TopicKind[Session] = subscriptions.kind("game-chat")
        self._clock = clock

    def routes(self) -> Routes:
        """Say which handler carries out which command."""
        return {
            wire.Act: CommandRoute(immediate=self.act),
            wire.SendEphemeral: CommandRoute(immediate=self.send_ephemeral),
            wire.Resume: CommandRoute(awaited=self.resume, cost=3),
            wire.Watch: CommandRoute(awaited=self.watch, cost=3),
            wire.Unwatch: CommandRoute(awaited=self.unwatch),
            wire.Leave: CommandRoute(awaited=self.leave),
            wire.Snapshot: CommandRoute(awaited=self.snapshot, cost=3),
        }

    # ------------------------------------------------------------------ moves

    def act(self, session: Session, command: wire.Act) -> None:
        """Make a move; the answer comes when it is committed."""
        game = self._registry.find_loaded(command.game_id)
        seat = game.seat_of(session.who.player_id) if game is not None else None
        if game is None or seat is None:
            work = session.answer(command, self._act_later(session, command))
            session.sessions.tasks.start_work(work, name="a move in a game not in memory")
            return
        reply: Reply = partial(reply_when_committed, session, command.id)
        game.act(seat, command.cmd_no, command.move, reply, expected_head=command.expected_head)

    async def _act_later(self, session: Session, command: wire.Act) -> dict[str, object]:
        try:
            game = await self._found(session, command.game_id)
            seat = await self._access.require_seat(game, session.who.player_id)
            index = await query_when_committed(
                lambda reply: game.act(
                    seat,
                    command.cmd_no,
                    command.move,
                    reply,
                    expected_head=command.expected_head,
                )
            )
        except GameOver:
            index = await self._answered_before(session, command)
        return {"event_index": index}

    async def _answered_before(self, session: Session, command: wire.Act) -> int:
        """Give the reply of a command that was carried out before its game ended, or raise it."""
        seat = await self._access.find_seat(command.game_id, session.who.player_id)
        if seat is None:
            raise GameOver
        row = await self._store.find_command_event(
            command.game_id, seat=seat, cmd_no=command.cmd_no
        )
        if row is None:
            raise GameOver
        answer = reply_from_log(parse_command_reply(row.event_index, decode_row(row).event))
        if isinstance(answer, PlayhallError):
            raise answer
        return answer

    async def _found(self, session: Session, game_id: GameId) -> LiveGame:
        """Find a running game; for who may not see it there is none, however it is.

        Raises what `GameRegistry.find` does.
        """
        try:
            return await self._registry.find(game_id)
        except (GameOver, Quarantined, Unavailable, WrongNode):
            await self._access.require_readable(game_id, session.who.player_id)
            raise

    def send_ephemeral(self, session: Session, command: wire.SendEphemeral) -> None:
        """Show something to those who follow a game now; nobody keeps it."""
        game = self._registry.find_loaded(command.game_id)
        seat = None if game is None else game.seat_of(session.who.player_id)
        if game is None or seat is None or not game.fold.table.seats[seat].present:
            raise NotSeated("Take your seat with game.resume before you send to this game.")
        bytes_max = game.fold.ruleset.ephemeral_bytes_max
        data = orjson.dumps(command.data)
        if not bytes_max:
            raise Forbidden(f"{game.fold.ruleset.title} has no ephemeral messages.")
        if len(data) > bytes_max:
            raise InvalidField(
                f"data: {len(data)} bytes are more than the {bytes_max} that this game allows.",
                field="data",
            )
        frame = b'{"type":"game.ephemeral","game_id":"%b","seat":%d,"data":%b}'
        game.subscribers.publish_ephemeral(text_frame(frame % (game.game_id.encode(), seat, data)))
        session.socket.send(text_frame(b'{"re":%d,"type":"ok"}' % command.id))

    # ------------------------------------------------------------------ streams

    async def resume(self, session: Session, command: wire.Resume) -> dict[str, object]:
        """Take the stream of one's seat."""
        try:
            game = await self._found(session, command.game_id)
        except GameOver:
            return await self._read_finished(session, command.game_id, command.after, seated=True)
        seat = await self._access.require_seat(game, session.who.player_id)
        require_index(command.after, game.head)
        stop_streams(session, command.game_id)
        if not session.socket.closing:  # else nobody is there who could come back
            _come_back(self._registry, game, seat)
        head = await self._follow(game, session, seat, after=command.after)
        follow_chat(self.chat, session, command.game_id)
        return _head(game, head, seat=seat, cmd_no=game.fold.table.seats[seat].cmd_no)

    async def watch(self, session: Session, command: wire.Watch) -> dict[str, object]:
        """Follow as a spectator; a player who had left becomes one."""
        try:
            game = await self._found(session, command.game_id)
        except GameOver:
            return await self._read_finished(session, command.game_id, command.after, seated=False)
        await self._access.check_may_watch_game(game, session.who.player_id)
        seat = game.seat_of(session.who.player_id)
        if seat is not None:
            _check_has_left(game, seat)
        await self._check_watched_after(game, seat, command.after)
        if seat is not None:
            _look_on(game, seat)
        stop_streams(session, command.game_id)
        if delay_s := max(command.delay_s, game.spectator_delay_s):
            return self._watch_later(game, session, command.after, delay_s)
        head = await self._follow(game, session, None, after=command.after)
        follow_chat(self.chat, session, command.game_id)
        return _head(game, head)

    async def _follow(self, game: LiveGame, session: Session, viewer: Viewer, *, after: int) -> int:
        if game.patches is not None:
            return await follow_in_real_time(game, session, viewer)
        after = await send_snapshot_if_behind(game, session, viewer, after=after)
        return await follow_game(game, self._store, session, viewer, after=after)

    async def _check_watched_after(self, game: LiveGame, seat: int | None, after: int) -> None:
        """Refuse an index beyond what a spectator may know of.

        Who has left saw the game as players do until then, so their last index may be one that
        spectators do not see yet. Any index of theirs is taken, as if it were there: the stream
        is held until what follows may be seen, and the reply does not reveal how far the game is.
        """
        if seat is not None and game.spectator_delay_s:
            require_index(after, EVENT_INDEX_MAX)
            return
        seen = await self._access.visible_head(
            game.game_id, None, head=game.head, delay_s=game.spectator_delay_s
        )
        require_index(after, seen)

    def _watch_later(
        self, game: LiveGame, session: Session, after: int, delay_s: float
    ) -> dict[str, object]:
        """Follow at a distance in time, from the same log; its end is sent like any event."""
        stream = DelayedStream(
            game.game_id,
            game.subscribers.encoder,
            store=self._store,
            clock=self._clock,
            delay_s=delay_s,
            is_stopped=partial(self._registry.is_quarantined, game.game_id),
        )
        work = stream.run(session, after=after)
        task = session.sessions.tasks.start_work(work, name="delayed spectator")
        session.follow(("game", game.game_id), partial(_cancel, task))
        follow_chat(self.chat, session, game.game_id)
        return build_head(after, seat=None, cmd_no=0, status="in_progress", commitment=None)

    async def unwatch(self, session: Session, command: wire.Unwatch) -> None:
        """Stop following."""
        if not session.unfollow(("game", command.game_id)):
            raise GameNotFound("You are not following this game.")
        session.unfollow(("game-chat", command.game_id))

    async def leave(self, session: Session, command: wire.Leave) -> dict[str, object]:
        """Give up one's seat; answered when that is committed."""
        game = await self._found(session, command.game_id)
        player_id = session.who.player_id
        seat = await self._access.require_seat(game, player_id)
        occupant = game.fold.table.seats[seat]
        if occupant.present:
            await query_when_committed(
                partial(_note_seat, self._registry, game, "player_left", seat)
            )
            head: int = game.head
        else:  # left before, and sees no more than any spectator since
            head = await self._access.visible_head(
                game.game_id, player_id, head=game.head, delay_s=game.spectator_delay_s
            )
        session.unfollow(("game", command.game_id))
        return _head(game, head, seat=seat, cmd_no=occupant.cmd_no)

    async def snapshot(self, session: Session, command: wire.Snapshot) -> dict[str, object]:
        """Give the whole snapshot at a committed index."""
        try:
            game = await self._found(session, command.game_id)
        except GameOver:
            return await self._snapshot_finished(session, command.game_id)
        viewer = game.seat_of(session.who.player_id)
        if viewer is None:
            await self._access.check_may_watch_game(game, session.who.player_id)
        if not self._access.is_seated(game.game_id, session.who.player_id):
            _check_no_delay(game)
        snapshot = game.snapshot(viewer)
        await query_when_committed(
            game.call_when_committed
        )  # the state runs ahead; what leaves does not
        return snapshot

    # ------------------------------------------------------------------ finished games

    async def _read_finished(
        self, session: Session, game_id: GameId, after: int, *, seated: bool
    ) -> dict[str, object]:
        """Send the whole log, with nothing hidden any more."""
        stored = await self._access.require_readable(game_id, session.who.player_id)
        require_index(after, stored.next_event_index - 1)
        encoder = ViewEncoder(game_id, None, self._registry.faults)
        cursor = after
        while rows := await self._store.read_events(game_id, after=cursor, limit=READ_ROWS):
            recorded = [decode_row(row) for row in rows]
            await send_chunks(session, encoder, recorded, None)
            cursor = rows[-1].event_index
        seat = await self._access.find_seat(game_id, session.who.player_id) if seated else None
        return build_head(
            cursor,
            seat=seat,
            cmd_no=0 if seat is None else await self._store.read_last_command(game_id, seat),
            status="completed",
            commitment=await self._access.commitment(stored, cursor),
        )

    async def _snapshot_finished(self, session: Session, game_id: GameId) -> dict[str, object]:
        stored = await self._access.require_readable(game_id, session.who.player_id)
        rows = await self._store.read_log(game_id)
        recorder = recover_game(stored, rows, self._rulesets.get(stored.ruleset))
        viewer = recorder.fold.table.seat_by_player.get(session.who.player_id)
        return {
            **build_snapshot(recorder.fold, viewer),
            "commitment": compute_log_commitment(stored.seed, recorder.hash),
        }


def _head(
    game: LiveGame, head: int, *, seat: int | None = None, cmd_no: int = 0
) -> dict[str, object]:
    """Draw up where a running game's stream stands; the log is committed to at its head only."""
    return build_head(
        head,
        seat=seat,
        cmd_no=cmd_no,
        status=game.status,
        commitment=game.commitment if head == game.head else None,
    )


def _come_back(registry: GameRegistry, game: LiveGame, seat: int) -> None:
    """Note a return, except to a game that is decided: its last events are on their way."""
    occupant = game.fold.table.seats[seat]
    if game.fold.table.completed:
        return
    if not occupant.present:
        _note_seat(registry, game, "player_joined", seat)
    elif not occupant.connected:
        game.record_presence("player_reconnected", seat)


def _note_seat(
    registry: GameRegistry, game: LiveGame, kind: str, seat: int, reply: Reply | None = None
) -> None:
    """Log that a seat was left or taken again; the directory hears of it when it is committed."""

    def on_committed(what: int | PlayhallError) -> None:
        if isinstance(what, int):
            registry.seats_changed(game)
        if reply is not None:
            reply(what)

    game.record_presence(kind, seat, on_committed)


def _check_has_left(game: LiveGame, seat: int) -> None:
    if game.fold.table.seats[seat].present:
        raise NotSeated("You have a seat in this game; use game.resume, or send game.leave first.")


def _look_on(game: LiveGame, seat: int) -> None:
    if not game.fold.table.completed:
        game.record_presence("player_became_spectator", seat)


def _check_no_delay(game: LiveGame) -> None:
    if game.spectator_delay_s:
        raise Forbidden(
            f"Spectators see this game {game.spectator_delay_s:g} s late; use game.watch."
        )


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
