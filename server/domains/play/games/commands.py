"""Commands of games, from the wire to the live game, on this node or on the one that owns it.

Each command has up to three ways: `_here` where this node owns the game or can take it, `_there`
where another node owns it and can be asked, and one for a game that is over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias, TypeVar

import orjson

from persistence.games.store import GameStore
from protocol import games as wire
from protocol.errors import (
    GameNotFound,
    GameOver,
    PlayhallError,
    WrongNode,
)
from protocol.ids import GameId, PlayerId
from server.core.clock import Clock
from server.core.node_calls import NodeCalls
from server.core.subscriptions import Subscriptions, TopicKind
from server.domains.play.games.access import GameAccess, query_when_committed
from server.domains.play.games.delayed_views import DelayedViews
from server.domains.play.games.elsewhere import OwnerGone, RemoteGame
from server.domains.play.games.inputs import Reply
from server.domains.play.games.live_game import LiveGame
from server.domains.play.games.owner import GameOwner, describe_head
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
from server.gamekit.table import compute_log_commitment
from server.gateway.session.sessions import CommandRoute, Routes, Session
from server.gateway.transport.framing import text_frame

T = TypeVar("T")
There: TypeAlias = Callable[[RemoteGame], Awaitable[T]]

# How long a command waits for a game's owner, or its next one, before the client is redirected.
FORWARD_WITHIN_MAX_S: Final = 10.0
FORWARD_AGAIN_S: Final = 0.1


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
        calls: NodeCalls | None = None,
        lease_s: float = FORWARD_WITHIN_MAX_S,
    ) -> None:
        self._registry = registry
        self._elsewhere = registry.elsewhere
        self._forward_within_s = min(lease_s + FORWARD_AGAIN_S, FORWARD_WITHIN_MAX_S)
        self._owner = GameOwner(registry=registry, store=store, access=access, calls=calls)
        self._store = store
        self._rulesets = rulesets
        self._access = access
        # What is said at games, to those who follow them.
        self.chat: TopicKind[Session] = subscriptions.kind("game-chat")
        self._clock = clock
        self._delayed = DelayedViews(
            store, clock=clock, faults=registry.faults, is_stopped=registry.is_quarantined
        )
        if calls is not None:
            calls.listen("game.shown", self._show_ephemeral)

    @property
    def owner(self) -> GameOwner:
        """What other nodes ask."""
        return self._owner

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
        player_id = session.who.player_id

        async def here(game: LiveGame) -> int:
            return await self._owner.act(game, player_id, command)

        async def there(game: RemoteGame) -> int:
            body = {"player_id": player_id, "command": command.model_dump()}
            ask = partial(self._elsewhere.ask, game, "game.act", body)
            index: int = (await game.ask_in_turn(player_id, ask))["event_index"]
            return index

        try:
            index = await self._wherever(session, command.game_id, here, there)
        except GameOver:
            index = await self._owner.answered_before(player_id, command)
        return {"event_index": index}

    async def _wherever(
        self,
        session: Session,
        game_id: GameId,
        here: Callable[[LiveGame], Awaitable[T]],
        there: There[T],
    ) -> T:
        """Do something with a running game on the node that has it.

        Where that node is gone, wait for the next one, which may be this, for as long as a lease
        lasts: an owner that has its lease by then is alive and does not hear. A client is sent
        there too where nobody can be asked: the nodes share no broker, or it is away, or the game
        must be followed where it is. Raises what `GameOwner.find` does.
        """
        now = asyncio.get_running_loop().time
        until = now() + self._forward_within_s
        remote = self._elsewhere.find(game_id)
        while True:
            try:
                if remote is not None and self._registry.find_loaded(game_id) is None:
                    return await there(remote)
                return await here(await self._owner.find(game_id, session.who.player_id))
            except WrongNode as wrong:
                if now() > until:
                    raise
                try:
                    remote = await self._elsewhere.open(game_id, wrong)
                except OwnerGone:
                    remote = None
                    await asyncio.sleep(FORWARD_AGAIN_S)
            except OwnerGone:
                remote = None
                if now() <= until:
                    await asyncio.sleep(FORWARD_AGAIN_S)

    def send_ephemeral(self, session: Session, command: wire.SendEphemeral) -> None:
        """Show something to those who follow a game now; nobody keeps it."""
        player_id = session.who.player_id
        remote = self._elsewhere.find(command.game_id)
        if remote is not None and self._registry.find_loaded(command.game_id) is None:
            work = session.answer(command, self._send_ephemeral_there(remote, player_id, command))
            session.sessions.tasks.start_work(work, name="an ephemeral message of another node")
            return
        game = self._registry.find_loaded(command.game_id)
        self._owner.send_ephemeral(game, player_id, command.data)
        session.socket.send(text_frame(b'{"re":%d,"type":"ok"}' % command.id))

    async def _send_ephemeral_there(
        self, game: RemoteGame, player_id: PlayerId, command: wire.SendEphemeral
    ) -> None:
        body = {"player_id": player_id, "data": command.data}
        try:
            await self._elsewhere.ask(game, "game.ephemeral", body)
        except OwnerGone:
            raise WrongNode from None

    def _show_ephemeral(self, _: str, body: tuple[GameId, str]) -> None:
        """Show what another node's player sent to those who follow that game here."""
        game_id, message = body
        if (game := self._elsewhere.find_followed(game_id)) is not None:
            game.subscribers.publish_ephemeral(text_frame(message.encode()))

    # ------------------------------------------------------------------ streams

    async def resume(self, session: Session, command: wire.Resume) -> dict[str, object]:
        """Take the stream of one's seat."""
        try:
            return await self._wherever(
                session,
                command.game_id,
                partial(self._resume_here, session, command),
                partial(self._resume_there, session, command),
            )
        except GameOver:
            return await self._read_finished(session, command.game_id, command.after, seated=True)

    async def _resume_here(
        self, session: Session, command: wire.Resume, game: LiveGame
    ) -> dict[str, object]:
        player_id = session.who.player_id
        seat = await self._access.require_seat(game, player_id)
        require_index(command.after, game.head)
        stop_streams(session, command.game_id)
        if not session.socket.closing:  # else nobody is there who could come back
            game.subscribers.away.pop(player_id, None)
            self._owner.come_back(game, seat)
        head = await self._follow(game, session, seat, after=command.after)
        follow_chat(self.chat, session, command.game_id)
        return describe_head(game, head, seat=seat, cmd_no=game.fold.table.seats[seat].cmd_no)

    async def _resume_there(
        self, session: Session, command: wire.Resume, game: RemoteGame
    ) -> dict[str, object]:
        player_id = session.who.player_id
        body = {"player_id": player_id, "after": command.after}
        answer = await self._elsewhere.ask(game, "game.resume", body)
        seat: int = answer["seat"]
        stop_streams(session, command.game_id)
        if not session.socket.closing:
            game.players.add(player_id)
        head = await self._follow(game, session, seat, after=command.after)
        follow_chat(self.chat, session, command.game_id)
        return describe_head(game, head, seat=seat, cmd_no=answer["cmd_no"])

    async def watch(self, session: Session, command: wire.Watch) -> dict[str, object]:
        """Follow as a spectator; a player who had left becomes one."""
        try:
            return await self._wherever(
                session,
                command.game_id,
                partial(self._watch_here, session, command),
                partial(self._watch_there, session, command),
            )
        except GameOver:
            return await self._read_finished(session, command.game_id, command.after, seated=False)

    async def _watch_here(
        self, session: Session, command: wire.Watch, game: LiveGame
    ) -> dict[str, object]:
        await self._owner.look_on(game, session.who.player_id, command.after)
        stop_streams(session, command.game_id)
        if delay_s := max(command.delay_s, game.spectator_delay_s):
            return self._watch_later(game, session, command.after, delay_s)
        head = await self._follow(game, session, None, after=command.after)
        follow_chat(self.chat, session, command.game_id)
        return describe_head(game, head)

    async def _watch_there(
        self, session: Session, command: wire.Watch, game: RemoteGame
    ) -> dict[str, object]:
        body = {"player_id": session.who.player_id, "after": command.after}
        await self._elsewhere.ask(game, "game.watch", body)
        stop_streams(session, command.game_id)
        if delay_s := max(command.delay_s, game.spectator_delay_s):
            return self._watch_later(game, session, command.after, delay_s)
        head = await self._follow(game, session, None, after=command.after)
        follow_chat(self.chat, session, command.game_id)
        return describe_head(game, head)

    async def _follow(
        self, game: LiveGame | RemoteGame, session: Session, viewer: Viewer, *, after: int
    ) -> int:
        if isinstance(game, RemoteGame):
            if game.head - after > game.ruleset.resume_events_max:
                after = game.head
                snapshot = await self._snapshot_of_log(game.game_id, viewer, up_to=after)
                update = {"type": "game.state", "game_id": game.game_id, **snapshot}
                session.socket.send(text_frame(orjson.dumps(update)))
            return await follow_game(game, self._store, session, viewer, after=after)
        if game.patches is not None:
            return await follow_in_real_time(game, session, viewer)
        after = await send_snapshot_if_behind(game, session, viewer, after=after)
        return await follow_game(game, self._store, session, viewer, after=after)

    def _watch_later(
        self, game: LiveGame | RemoteGame, session: Session, after: int, delay_s: float
    ) -> dict[str, object]:
        """Follow at a distance in time, from the same log; its end is sent like any event."""
        if isinstance(game, LiveGame) and game.patches is not None:
            self._delayed.follow(game, session, delay_s)
            follow_chat(self.chat, session, game.game_id)
            return build_head(after, seat=None, cmd_no=0, status="in_progress", commitment=None)
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
        player_id = session.who.player_id

        async def here(game: LiveGame) -> dict[str, object]:
            stands = await self._owner.leave(game, player_id)
            game.subscribers.away.pop(player_id, None)
            return stands

        async def there(game: RemoteGame) -> dict[str, object]:
            stands = await self._elsewhere.ask(game, "game.leave", {"player_id": player_id})
            game.players.discard(player_id)
            return dict(stands)

        stands = await self._wherever(session, command.game_id, here, there)
        session.unfollow(("game", command.game_id))
        return stands

    async def snapshot(self, session: Session, command: wire.Snapshot) -> dict[str, object]:
        """Give the whole snapshot at a committed index."""
        player_id = session.who.player_id

        async def here(game: LiveGame) -> dict[str, object]:
            viewer = await self._owner.check_snapshot(game, player_id)
            snapshot = game.snapshot(viewer)
            await query_when_committed(
                game.call_when_committed
            )  # the state runs ahead; what leaves does not
            return snapshot

        async def there(game: RemoteGame) -> dict[str, object]:
            answer = await self._elsewhere.ask(game, "game.snapshot", {"player_id": player_id})
            up_to = max(game.head, answer["head"])
            return await self._snapshot_of_log(game.game_id, answer["viewer"], up_to=up_to)

        try:
            return await self._wherever(session, command.game_id, here, there)
        except GameOver:
            stored = await self._access.require_readable(command.game_id, player_id)
            seat = await self._access.find_seat(stored.id, player_id)
            return await self._snapshot_of_log(stored.id, seat, up_to=stored.next_event_index - 1)

    # ------------------------------------------------------------------ finished games

    async def _read_finished(
        self, session: Session, game_id: GameId, after: int, *, seated: bool
    ) -> dict[str, object]:
        """Send the whole log, with nothing hidden any more."""
        stored = await self._access.require_readable(game_id, session.who.player_id)
        require_index(after, stored.next_event_index - 1)
        encoder = ViewEncoder(game_id, None, self._registry.faults)
        cursor = after
        while cursor < stored.next_event_index - 1 and (
            rows := await self._store.read_finished_events(game_id, after=cursor, limit=READ_ROWS)
        ):
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

    async def _snapshot_of_log(
        self, game_id: GameId, viewer: Viewer, *, up_to: int
    ) -> dict[str, object]:
        """Draw the snapshot as of an event, from the log alone."""
        stored = await self._store.find(game_id)
        if stored is None:
            raise GameNotFound
        rows = (await self._store.read_log(game_id))[: up_to + 1]
        stored = replace(stored, next_event_index=len(rows))
        recorder = recover_game(stored, rows, self._rulesets.get(stored.ruleset))
        return {
            **build_snapshot(recorder.fold, viewer),
            "commitment": compute_log_commitment(stored.seed, recorder.hash),
        }


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
