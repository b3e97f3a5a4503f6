"""What only the owner of a game does for a player, wherever that player is connected.

`GameCommands` calls it for connections of this node. For those of other nodes `GameOwner` answers
their calls (`server.core.node_calls`): it changes the game and says how far it is. What they are
sent of it, their own node sends.
"""

import logging
from contextlib import suppress
from functools import partial
from typing import Any, Final

import orjson

from persistence.games.store import GameStore
from protocol.errors import (
    Forbidden,
    GameOver,
    InvalidField,
    NotSeated,
    PlayhallError,
    Quarantined,
    Unavailable,
    WrongNode,
)
from protocol.games import Act
from protocol.ids import GameId, PlayerId
from protocol.limits import EVENT_INDEX_MAX
from server.core.node_calls import Body, NodeCalls
from server.core.periodic import repeat_every
from server.domains.play.games.access import GameAccess, query_when_committed
from server.domains.play.games.elsewhere import INTEREST_S, RemoteGame
from server.domains.play.games.inputs import Reply
from server.domains.play.games.live_game import LiveGame, reply_from_log
from server.domains.play.games.recovery import decode_row
from server.domains.play.games.registry import GameRegistry
from server.domains.play.games.streams import require_index
from server.domains.play.games.views import build_head
from server.gamekit.contract import Viewer
from server.gamekit.table import parse_command_reply
from server.gateway.transport.framing import text_frame

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0


class GameOwner:
    """Carries out what players ask of games that this node owns, or can take."""

    def __init__(
        self,
        *,
        registry: GameRegistry,
        store: GameStore,
        access: GameAccess,
        calls: NodeCalls | None = None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._access = access
        self._calls = calls
        if calls is not None:
            calls.serve("game.act", self._act_for_node)
            calls.serve("game.resume", self._resume_for_node)
            calls.serve("game.watch", self._watch_for_node)
            calls.serve("game.leave", self._leave_for_node)
            calls.serve("game.snapshot", self._snapshot_for_node)
            calls.serve("game.ephemeral", self._ephemeral_for_node)
            calls.serve("game.gone", self._gone_for_node)
            calls.serve("game.take", self._take_for_node)
            calls.listen("game.following", self._note_following)

    # ------------------------------------------------------------------ for any connection

    async def find(self, game_id: GameId, player_id: PlayerId) -> LiveGame:
        """Find a running game; for who may not see it there is none, however it is.

        Raises what `GameRegistry.find` does.
        """
        try:
            return await self._registry.find(game_id)
        except (GameOver, Quarantined, Unavailable, WrongNode):
            await self._access.require_readable(game_id, player_id)
            raise

    async def act(self, game: LiveGame, player_id: PlayerId, command: Act) -> int:
        """Make a move; gives the index of its first event once that is committed."""
        seat = await self._access.require_seat(game, player_id)
        return await query_when_committed(
            lambda reply: game.act(
                seat, command.cmd_no, command.move, reply, expected_head=command.expected_head
            )
        )

    async def answered_before(self, player_id: PlayerId, command: Act) -> int:
        """Give the reply of a command that was carried out before its game ended, or raise it."""
        seat = await self._access.find_seat(command.game_id, player_id)
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

    def come_back(self, game: LiveGame, seat: int) -> None:
        """Note a return, except to a game that is decided: its last events are on their way."""
        occupant = game.fold.table.seats[seat]
        if game.fold.table.completed:
            return
        if not occupant.present:
            self._note_seat(game, "player_joined", seat)
        elif not occupant.connected:
            game.record_presence("player_reconnected", seat)

    async def look_on(self, game: LiveGame, player_id: PlayerId, after: int) -> None:
        """Have somebody watch who may; a player who had left becomes a spectator."""
        await self._access.check_may_watch_game(game, player_id)
        seat = game.seat_of(player_id)
        if seat is not None and game.fold.table.seats[seat].present:
            raise NotSeated(
                "You have a seat in this game; use game.resume, or send game.leave first."
            )
        await self._check_watched_after(game, seat, after)
        if seat is not None and not game.fold.table.completed:
            game.record_presence("player_became_spectator", seat)

    async def leave(self, game: LiveGame, player_id: PlayerId) -> dict[str, object]:
        """Give up a seat; gives where the stream stands when that is committed."""
        seat = await self._access.require_seat(game, player_id)
        occupant = game.fold.table.seats[seat]
        if occupant.present:
            await query_when_committed(partial(self._note_seat, game, "player_left", seat))
            head: int = game.head
        else:  # left before, and sees no more than any spectator since
            head = await self._access.visible_head(
                game.game_id, player_id, head=game.head, delay_s=game.spectator_delay_s
            )
        return describe_head(game, head, seat=seat, cmd_no=occupant.cmd_no)

    async def check_snapshot(self, game: LiveGame, player_id: PlayerId) -> Viewer:
        """Say as whom somebody may see the whole of a game now; refuse who may not."""
        viewer = game.seat_of(player_id)
        if viewer is None:
            await self._access.check_may_watch_game(game, player_id)
        if game.spectator_delay_s and not self._access.is_seated(game.game_id, player_id):
            raise Forbidden(
                f"Spectators see this game {game.spectator_delay_s:g} s late; use game.watch."
            )
        return viewer

    def send_ephemeral(self, game: LiveGame | None, player_id: PlayerId, data: object) -> None:
        """Show something to those who follow a game now, on any node; nobody keeps it."""
        seat = None if game is None else game.seat_of(player_id)
        if game is None or seat is None or not game.fold.table.seats[seat].present:
            raise NotSeated("Take your seat with game.resume before you send to this game.")
        bytes_max = game.fold.ruleset.ephemeral_bytes_max
        encoded = orjson.dumps(data)
        if not bytes_max:
            raise Forbidden(f"{game.fold.ruleset.title} has no ephemeral messages.")
        if len(encoded) > bytes_max:
            raise InvalidField(
                f"data: {len(encoded)} bytes are more than the {bytes_max} that this game allows.",
                field="data",
            )
        frame = b'{"type":"game.ephemeral","game_id":"%b","seat":%d,"data":%b}'
        message = frame % (game.game_id.encode(), seat, encoded)
        game.subscribers.publish_ephemeral(text_frame(message))
        if self._calls is not None:
            for node in game.subscribers.nodes:
                self._calls.send_note(node, "game.shown", [game.game_id, message.decode()])

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

    def _note_seat(self, game: LiveGame, kind: str, seat: int, reply: Reply | None = None) -> None:
        """Log that a seat was left or taken again; the directory hears of it once committed."""

        def on_committed(what: int | PlayhallError) -> None:
            if isinstance(what, int):
                self._registry.seats_changed(game)
            if reply is not None:
                reply(what)

        game.record_presence(kind, seat, on_committed)

    # ------------------------------------------------------------------ for other nodes

    async def _act_for_node(self, node: str, body: dict[str, Any]) -> Body:
        player_id, command = PlayerId(body["player_id"]), Act.model_validate(body["command"])
        try:
            game = await self.find(command.game_id, player_id)
            index = await self.act(game, player_id, command)
        except GameOver:
            index = await self.answered_before(player_id, command)
            return {"event_index": index}
        return {"event_index": index, "head": game.head}

    async def _resume_for_node(self, node: str, body: dict[str, Any]) -> Body:
        player_id, after = PlayerId(body["player_id"]), body["after"]
        game = await self.find(body["game_id"], player_id)
        seat = await self._access.require_seat(game, player_id)
        require_index(after, game.head)
        self._share(game, node)
        game.subscribers.away[player_id] = node
        self.come_back(game, seat)
        return {
            "head": game.head,
            "seat": seat,
            "cmd_no": game.fold.table.seats[seat].cmd_no,
        }

    async def _watch_for_node(self, node: str, body: dict[str, Any]) -> Body:
        player_id = PlayerId(body["player_id"])
        game = await self.find(body["game_id"], player_id)
        await self.look_on(game, player_id, body["after"])
        if not game.spectator_delay_s:
            self._share(game, node)
        return {} if game.spectator_delay_s else {"head": game.head}

    async def _leave_for_node(self, node: str, body: dict[str, Any]) -> Body:
        player_id = PlayerId(body["player_id"])
        game = await self.find(body["game_id"], player_id)
        stands = await self.leave(game, player_id)
        if game.subscribers.away.get(player_id) == node:
            del game.subscribers.away[player_id]
        return stands

    async def _snapshot_for_node(self, _: str, body: dict[str, Any]) -> Body:
        player_id = PlayerId(body["player_id"])
        game = await self.find(body["game_id"], player_id)
        viewer = await self.check_snapshot(game, player_id)
        game.require_sound()
        return {"viewer": viewer, "head": await query_when_committed(game.call_when_committed)}

    async def _ephemeral_for_node(self, _: str, body: dict[str, Any]) -> Body:
        game = self._registry.find_loaded(body["game_id"])
        self.send_ephemeral(game, PlayerId(body["player_id"]), body["data"])
        return {}

    async def _take_for_node(self, _: str, body: dict[str, Any]) -> Body:
        await self._registry.find(body["game_id"])
        return {}

    async def _gone_for_node(self, node: str, body: dict[str, Any]) -> Body:
        game = self._registry.find_loaded(body["game_id"])
        player_id = PlayerId(body["player_id"])
        # Else the player has taken the seat elsewhere since: the newest connection counts.
        if game is not None and game.subscribers.away.get(player_id) == node:
            del game.subscribers.away[player_id]
            note_departure(game, player_id)
        return {}

    def _note_following(self, node: str, followed: Any) -> None:
        """Go on sending a node its games; its players there are here after all, if they seem gone.

        They do where the node could not say so in time, and where the game has just come here.
        """
        for game_id, players in followed:
            game = self._registry.find_loaded(game_id)
            if game is None or game.patches is not None:
                continue
            for player_id in players:
                seat = game.seat_of(player_id)
                if seat is None or player_id in game.subscribers.away:
                    continue
                occupant = game.fold.table.seats[seat]
                if occupant.present and (not occupant.connected or game.subscribers.is_new_here):
                    game.subscribers.away[player_id] = node
                    with suppress(PlayhallError):  # else it is said again
                        self.come_back(game, seat)
            game.subscribers.share(node, INTEREST_S)

    def _share(self, game: LiveGame, node: str) -> None:
        if game.patches is not None:  # its viewers must come here
            raise WrongNode
        game.subscribers.share(node, INTEREST_S)

    async def keep_forgetting(self) -> None:
        """Forget the nodes that follow games no longer, and note that their players are gone."""
        await repeat_every(LOOK_EVERY_S, self._forget_silent, "forgetting followers elsewhere")

    async def _forget_silent(self) -> None:
        now = self._registry.now()
        for game in self._registry.games():
            if game.subscribers.is_shared:
                for player_id in game.subscribers.forget_silent_nodes(now):
                    note_departure(game, player_id)


def note_departure(game: LiveGame, player_id: PlayerId) -> None:
    """Log that a player's connection is gone; the seat is kept."""
    seat = game.fold.table.seat_by_player[player_id]
    occupant = game.fold.table.seats[seat]
    if not (occupant.present and occupant.connected):
        return
    try:
        game.record_presence("player_disconnected", seat)
    except PlayhallError as error:
        log.info(
            "game %s: a departure was not recorded: %s",
            game.game_id,
            error,
            extra={"game_id": game.game_id},
        )


def describe_head(
    game: LiveGame | RemoteGame, head: int, *, seat: int | None = None, cmd_no: int = 0
) -> dict[str, object]:
    """Draw up where a running game's stream stands; the log is committed to at its head only."""
    return build_head(
        head,
        seat=seat,
        cmd_no=cmd_no,
        status=game.status,
        commitment=game.commitment if head == game.head else None,
    )
