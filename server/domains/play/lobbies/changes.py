"""How a lobby changes: locked, decided, stored, published; and how its game starts."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from secrets import choice
from typing import Final, NamedTuple

from persistence.games.model import LobbyChanged, NewGame
from persistence.lobbies.model import JoiningPlayer, Lobby
from persistence.lobbies.store import LobbyStore, LobbyTransaction
from protocol.errors import LobbyNotFound, Overloaded, PlayhallError
from protocol.ids import GameId, LobbyId, PlayerId
from protocol.lobbies import OPEN_LOBBIES_MAX, ChangeKind, LobbyChange, Reason, Role
from server.domains.play.lobbies import rules
from server.domains.play.lobbies.catalog import RulesetCatalog
from server.domains.play.lobbies.subscribers import LobbySubscribers

Decide = Callable[[Lobby], Lobby]


def require_found(lobby: Lobby | None) -> Lobby:
    """Refuse where there is no lobby."""
    if lobby is None:
        raise LobbyNotFound
    return lobby


# Join codes are read out to friends: without 0 and O, 1 and I, which look alike.
ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CODE_CHARS: Final = 6
DRAWS_MAX: Final = 8


def draw_join_code() -> str:
    """Draw a code that nobody can guess."""
    return "".join(choice(ALPHABET) for _ in range(CODE_CHARS))


async def add_with_code(transaction: LobbyTransaction, lobby: Lobby) -> Lobby:
    """Add a lobby under a code that no other lobby has until it is closed."""
    for _ in range(DRAWS_MAX):
        coded = replace(lobby, join_code=draw_join_code())
        if await transaction.add(coded):
            return coded
    raise Overloaded


WAITING_MAX: Final = 500  # for one thing


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class KeyedLock:
    """Lets this node do one thing at a time to each of many things.

    The database keeps changes apart by itself. Taking turns here as well lets updates go
    out in the order of their versions, and lets a crowd at one lobby wait without holding
    a connection each.
    """

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Wait for one's turn; refuse where too many wait already."""
        turn = self._turns.setdefault(key, _Turn())
        if turn.waiting >= WAITING_MAX:
            raise Overloaded
        turn.waiting += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[key]


KNOWN_MAX: Final = 2000
KNOWN_S: Final = 5.0


class KnownLobby(NamedTuple):
    """A lobby as it was written last, and when its members' names were read."""

    lobby: Lobby
    read_at: float


class KnownLobbies:
    """Open lobbies as this node knew them last, so that a change need not read them first.

    What is known may be out of date, as other nodes change lobbies as well. So nothing is lost to
    it, a change is written only from the version that it was decided on, and a refusal is decided
    again on what is stored. Names of members have no version: hence the short time, which begins
    when a lobby is read, however often it is changed after that.
    """

    def __init__(self) -> None:
        self._lobbies: OrderedDict[LobbyId, KnownLobby] = OrderedDict()
        self._by_code: dict[str, LobbyId] = {}

    def note(self, lobby: Lobby, *, read_at: float | None = None) -> None:
        """Remember a lobby as it was written; one that is not open is forgotten.

        `read_at`: when its members were read, as `find_read` says; just now if None.
        """
        self.forget(lobby.lobby_id)
        # A lobby with several tables also changes by what is played at them.
        if lobby.status != "OPEN" or lobby.has_tables:
            return
        # Without life for a while it may have been when it was read; sweeps read that again.
        lobby = replace(lobby, silent_s=0.0, host_silent_s=0.0)
        if read_at is None:
            read_at = asyncio.get_running_loop().time()
        self._lobbies[lobby.lobby_id] = KnownLobby(lobby, read_at)
        if lobby.join_code is not None:
            self._by_code[lobby.join_code] = lobby.lobby_id
        if len(self._lobbies) > KNOWN_MAX:
            self.forget(next(iter(self._lobbies)))

    def forget(self, lobby_id: LobbyId) -> None:
        """Forget a lobby; harmless if it is not known."""
        known = self._lobbies.pop(lobby_id, None)
        if known is not None and known.lobby.join_code is not None:
            self._by_code.pop(known.lobby.join_code, None)

    def find(self, lobby_id: LobbyId) -> Lobby | None:
        """Find a lobby that was read a moment ago."""
        known = self.find_read(lobby_id)
        return None if known is None else known.lobby

    def find_read(self, lobby_id: LobbyId) -> KnownLobby | None:
        """Find a lobby that was read a moment ago, and when that was."""
        known = self._lobbies.get(lobby_id)
        if known is None or asyncio.get_running_loop().time() - known.read_at > KNOWN_S:
            return None
        return known

    def find_by_code(self, code: str) -> Lobby | None:
        """Find the lobby that a code leads to."""
        lobby_id = self._by_code.get(code)
        return None if lobby_id is None else self.find(lobby_id)


class _Change(NamedTuple):
    """A lobby before and after; `read_at` if it was known before, and not read for this change."""

    before: Lobby
    after: Lobby
    read_at: float | None = None


class LobbyChanges:
    """Changes lobbies, one at a time each, and publishes that in the order of the versions.

    Of a lobby that is known, the change is decided first and written in one statement with those of
    other lobbies. Where that does not hold, and of all others, a transaction locks the lobby, reads
    it and decides.
    """

    def __init__(self, store: LobbyStore, subscribers: LobbySubscribers) -> None:
        self.turns = KeyedLock()
        self.known = KnownLobbies()
        self._store = store
        self._subscribers = subscribers

    async def open_lobby(self, draft: Lobby, host: PlayerId) -> Lobby:
        """Open a lobby for its host."""
        opened = None if draft.has_tables else await self._open_together(draft, host)
        if opened is None:
            async with self._store.transaction() as transaction:
                joiner = await transaction.lock_player(host)
                seated = rules.join_lobby(draft, joiner, "player")
                opened = await add_with_code(transaction, replace(seated, host_player_id=host))
        self.publish(opened, "created", host)
        return opened

    async def _open_together(self, draft: Lobby, host: PlayerId) -> Lobby | None:
        """Open a lobby in one statement with those of others; None if that has to be looked at."""
        seated = rules.join_lobby(draft, JoiningPlayer(host, "", 0), "player")
        coded = replace(seated, host_player_id=host, join_code=draw_join_code())
        return await self._store.open(coded, open_max=OPEN_LOBBIES_MAX)

    async def enter_lobby(
        self, lobby_id: LobbyId, player_id: PlayerId, role: Role, table: int | None = None
    ) -> Lobby:
        """Let somebody into a lobby, to any of its tables if None."""
        async with self.turns.hold(lobby_id):
            joiner = JoiningPlayer(player_id, "", 0)  # the database has the name and the number
            change = await self._change_known(
                lobby_id,
                lambda lobby: rules.join_lobby(lobby, joiner, role, table),
                joiner=player_id,
            )
            if change is None:
                async with self._store.transaction() as transaction:
                    joiner = await transaction.lock_player(player_id)
                    before = require_found(await transaction.lock_lobby(lobby_id))
                    decided = rules.join_lobby(before, joiner, role, table)
                    after = await transaction.save(before, decided)
                change = _Change(before, after)
            self.publish_if_changed(
                change.before, change.after, "joined", player_id, read_at=change.read_at
            )
        return change.after

    async def apply_rule(
        self,
        lobby_id: LobbyId,
        decide: Decide,
        kind: ChangeKind,
        player_id: PlayerId | None = None,
        *,
        reason: Reason | None = None,
    ) -> Lobby:
        """Carry out what a rule decides; a lobby that is closed by it is published as `closed`.

        The rule may be asked twice.
        """
        async with self.turns.hold(lobby_id):
            change = await self._change_known(lobby_id, decide)
            if change is None:
                async with self._store.transaction() as transaction:
                    before = require_found(await transaction.lock_lobby(lobby_id))
                    after = await transaction.save(before, decide(before))
                change = _Change(before, after)
            self.publish_if_changed(
                change.before, change.after, kind, player_id, reason=reason, read_at=change.read_at
            )
        return change.after

    async def _change_known(
        self, lobby_id: LobbyId, decide: Decide, *, joiner: PlayerId | None = None
    ) -> _Change | None:
        """Change a lobby that is known; None where what is stored has to decide."""
        known = self.known.find_read(lobby_id)
        if known is None:
            return None
        before = known.lobby
        self.known.forget(lobby_id)  # until it is published, whatever happens
        try:
            after = decide(before)
        except PlayhallError:
            return None
        if after == before or any(
            m.bot is not None and before.find_member(m.player_id) is None for m in after.members
        ):
            return None  # bots have to be made first
        if before.find_member(joiner) is not None:
            joiner = None  # who is in already counts no lobbies
        changed = await self._store.change(before, after, joiner=joiner, open_max=OPEN_LOBBIES_MAX)
        return None if changed is None else _Change(before, changed, known.read_at)

    async def publish_table(
        self, of_table: Lobby, kind: ChangeKind, player_id: PlayerId | None = None
    ) -> None:
        """Publish that a table's game started or ended, to who is in the lobby with the tables.

        `of_table` is the lobby of that game. What it means for the other one is stored already.
        """
        if of_table.table_of is None:
            return
        async with self.turns.hold(of_table.table_of):
            lobby = require_found(await self._store.read(of_table.table_of))
            if lobby.status != "CLOSED":
                change = LobbyChange(kind=kind, player_id=player_id, table=of_table.table_no)
                self._subscribers.publish(lobby, change, before=lobby)

    def publish(
        self,
        lobby: Lobby,
        kind: ChangeKind,
        player_id: PlayerId | None = None,
        *,
        before: Lobby | None = None,
        reason: Reason | None = None,
        read_at: float | None = None,
    ) -> None:
        """Publish a change that was stored; `before` is None for a lobby that is new.

        `read_at`: when the lobby was read, if that was for an earlier change.
        """
        self.known.note(lobby, read_at=read_at)
        change = LobbyChange(kind=kind, player_id=player_id, reason=reason)
        self._subscribers.publish(lobby, change, before=before)

    def publish_if_changed(
        self,
        before: Lobby,
        after: Lobby,
        kind: ChangeKind,
        player_id: PlayerId | None = None,
        *,
        reason: Reason | None = None,
        read_at: float | None = None,
    ) -> None:
        """Publish a change, if it was one; of a lobby that is closed by it, as `closed`."""
        if after.version == before.version:
            return
        published: ChangeKind = "closed" if after.status == "CLOSED" else kind
        self.publish(after, published, player_id, before=before, reason=reason, read_at=read_at)


StartGame = Callable[[NewGame], Awaitable[GameId]]
Check = Callable[[Lobby], None]

TRIES: Final = 5


class LobbyGameStarter:
    """Starts games. What a lobby was read as is what its game is made of, or it is read again."""

    def __init__(
        self,
        *,
        store: LobbyStore,
        changes: LobbyChanges,
        catalog: RulesetCatalog,
        start_game: StartGame,
    ) -> None:
        self._store = store
        self._changes = changes
        self._catalog = catalog
        self._start_game = start_game

    async def start(
        self, lobby_id: LobbyId, check: Check | None = None, host: PlayerId | None = None
    ) -> Lobby:
        """Start an open lobby's game, unless the check or the rules refuse."""
        started = await self._start(lobby_id, check, host)
        await self._changes.publish_table(started, "started", host)
        return started

    async def _start(self, lobby_id: LobbyId, check: Check | None, host: PlayerId | None) -> Lobby:
        async with self._changes.turns.hold(lobby_id):
            if (started := await self._start_known(lobby_id, check, host)) is not None:
                return started
            for _ in range(TRIES):
                lobby = require_found(await self._store.read(lobby_id))
                new = self._prepared(lobby, check)
                if (started := await self._started(lobby, new, host)) is not None:
                    return started
        raise Overloaded("The lobby is changing too often and nothing was started; try again.")

    async def _start_known(
        self, lobby_id: LobbyId, check: Check | None, host: PlayerId | None
    ) -> Lobby | None:
        """Start the game of a lobby that is known; None where what is stored has to decide."""
        lobby = self._changes.known.find(lobby_id)
        if lobby is None:
            return None
        self._changes.known.forget(lobby_id)
        try:
            new = self._prepared(lobby, check)
        except PlayhallError:
            return None
        return await self._started(lobby, new, host)

    def _prepared(self, lobby: Lobby, check: Check | None) -> NewGame:
        if check is not None:
            check(lobby)
        return rules.build_new_game(lobby, self._catalog.ruleset(lobby.ruleset).seats)

    async def _started(self, lobby: Lobby, new: NewGame, host: PlayerId | None) -> Lobby | None:
        """Start the game; None if the lobby is no longer as it was read."""
        try:
            game_id = await self._start_game(new)
        except LobbyChanged:
            return None
        started = replace(
            lobby, status="PLAYING", game_id=game_id, version=lobby.version + 1, fill_at=None
        )
        self._changes.publish(started, "started", host, before=lobby)
        return started
