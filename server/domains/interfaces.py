"""What domains ask of each other, as interfaces: one domain provides each, others require it."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeAlias

from persistence.database import Connection
from persistence.games.model import NewGame
from persistence.games.store import LogTotals
from persistence.rls import Requester
from persistence.saves.changes import ChangeRow
from persistence.storage.store import ObjectName, StoredObjectRow
from protocol.accounts import Me, Methods
from protocol.files import Upload
from protocol.ids import BotId, GameId, LobbyId, MatchId, PlayerId, SessionId, UserId
from protocol.inventory import Bundle, Mode
from protocol.signaling import PeerAdmission
from server.core.mailer import Mail
from server.core.subscriptions import TopicKind
from server.gamekit.contract import CompletedGame
from server.gateway.session.identity import Identity


class AccountAuthenticator(Protocol):
    """Says whose an account's token is: our own accounts, or Supabase's. Provided by accounts."""

    async def authenticate(self, token: str) -> Identity:
        """Say who a token speaks for.

        Raises `BadToken`, `TokenExpired`, `Banned` or `AccountDeactivated`.
        """

    async def end_session(self, session_id: SessionId) -> None:
        """End a session, and close its connections."""


class Authenticator(AccountAuthenticator, Protocol):
    """Says whose any token is, a person's or a bot's. Provided by bots."""


class ScopedToken(Protocol):
    """A signed token for one purpose."""

    @property
    def token(self) -> str:
        """The token."""

    @property
    def expires_at(self) -> str:
        """Until when it is good."""


class TokenScope(Protocol):
    """Writes and reads the tokens of one purpose."""

    def write(self, claims: Mapping[str, str]) -> ScopedToken:
        """Sign some claims."""

    async def read(self, token: str) -> Mapping[str, str]:
        """Give the claims; raise `BadToken` for any token that is not good for this purpose."""


class TokenScopes(Protocol):
    """Makes scopes for tokens. Provided by accounts."""

    def __call__(self, purpose: str, lifetime_s: float, /) -> TokenScope:
        """Make the scope of a purpose."""


class AccountReader(Protocol):
    """What an account says of itself. Provided by accounts."""

    async def read_me(self, user_id: UserId) -> Me:
        """Read an account as its owner sees it."""

    async def read_methods(self, user_id: UserId) -> Methods:
        """Read how somebody can sign in."""


class AccountErasure(Protocol):
    """Erases accounts for those who run the server. Provided by profiles."""

    async def erase_user(self, user_id: UserId, *, actor: str) -> None:
        """Erase an account, on record; raise `NotFound`."""


class AccountMail(Protocol):
    """Mails people at the address that they sign in with. Provided by accounts."""

    @property
    def is_set_up(self) -> bool:
        """Say whether this server sends email."""

    async def find_address(self, user_id: UserId) -> str | None:
        """Find the address of an account, if it has one."""

    def send(self, mail: Mail) -> None:
        """Send a mail, soon; raise `Overloaded` if too many wait."""


class Games(Protocol):
    """The live games of this node. Provided by games."""

    @property
    def draining(self) -> bool:
        """Whether this node takes no more games on."""

    def __len__(self) -> int:
        """Count the games in memory."""

    def games_by_lobby(self) -> Mapping[LobbyId, GameId]:
        """List the games that are played or followed here by the lobbies that they came from."""

    async def create(self, new: NewGame, /) -> GameId:
        """Make a game and its first events, and start its lobby with it, all or nothing."""


class GameSeats(Protocol):
    """Who sits in a game, and who may see it; games provide it."""

    async def require_readable(self, game_id: GameId, player_id: PlayerId | None) -> object:
        """Raise `GameNotFound` if there is no game that this player may see."""

    async def find_seat(self, game_id: GameId, player_id: PlayerId) -> int | None:
        """Find a player's seat, whether the game is running or over."""


class ServerObjects(Protocol):
    """Small objects of accounts, for domains and title packages; storage provides it.

    Both take the caller's open transaction. What only the server may read or write is written here.
    """

    async def read_for_server(
        self, connection: Connection, account_id: UserId, name: ObjectName
    ) -> StoredObjectRow | None:
        """Read an object."""

    async def write_for_server(
        self,
        connection: Connection,
        account_id: UserId,
        name: ObjectName,
        value: dict[str, Any],
        *,
        read_by: str,
        write_by: str,
    ) -> StoredObjectRow:
        """Write an object, whoever else may."""


class CompletedGames(Protocol):
    """Finished games, read from their logs. Provided by games."""

    async def read_completed(
        self, game_id: GameId, *, with_events: bool = True
    ) -> CompletedGame | None:
        """Read a game; None where it has not ended, or its log does not hold.

        Without events, one that has just ended on this node is known without reading its log.
        """


class GameTotals(Protocol):
    """What all nodes have played. Provided by games."""

    async def read(self) -> LogTotals:
        """Read the totals, a few seconds old; raise `Unavailable`."""


class LobbyAccess(Protocol):
    """Who may do what in a lobby. Provided by lobbies."""

    async def may_watch(self, lobby_id: LobbyId, player_id: PlayerId | None) -> bool:
        """Say whether somebody may watch a lobby's game."""

    async def may_upload_replay(self, match_id: MatchId, player_id: PlayerId) -> bool:
        """Say whether a match between peers is on record as this player reported it."""

    async def leave_all(self, player_id: PlayerId) -> None:
        """Take a player out of every lobby that can be left."""

    def count_followed(self) -> int:
        """Count the lobbies that somebody follows on this node."""


class SeatedPlayer(NamedTuple):
    """Who takes a seat; `bot` names the ruleset's bot, if it is one."""

    player_id: PlayerId
    display_name: str
    bot: str | None = None


class SeatedGame(NamedTuple):
    """A game whose players are known; the lobby's id is chosen before there is a lobby."""

    lobby_id: LobbyId
    name: str
    ruleset: str
    config: dict[str, Any]
    players: Sequence[SeatedPlayer]


class SeatedGames(Protocol):
    """Starts games for players who need not gather. Provided by lobbies."""

    def complete_config(self, ruleset: str, config: dict[str, Any]) -> dict[str, Any]:
        """Complete a configuration; raise `UnknownRuleset` or `InvalidField`."""

    async def add_bots(self, ruleset: str, bot: str, count: int) -> Sequence[SeatedPlayer]:
        """Make the players that so many bots sit as; the same ones each time.

        Raises `UnknownRuleset` or `UnknownBot`.
        """

    async def start_game(self, game: SeatedGame, /) -> GameId | None:
        """Start a game, seat `n` for the player `n`, in a public lobby without a host.

        A lobby has one game, however often and on however many nodes this is called: every call
        gives the same. None if the lobby is closed without a game; another id is needed then.
        """


class LobbyChat(Protocol):
    """Who talks in lobbies, and who hears it. Provided by lobbies."""

    @property
    def chat(self) -> TopicKind[Any]:
        """What is said in lobbies."""

    async def may_speak(self, lobby_id: LobbyId, player_id: PlayerId) -> bool:
        """Say whether somebody may speak in a lobby."""


class GameChat(Protocol):
    """Who talks at games, and who hears it. Provided by games."""

    @property
    def chat(self) -> TopicKind[Any]:
        """What is said at games."""

    async def may_speak(self, game_id: GameId, player_id: PlayerId) -> bool:
        """Say whether somebody may speak at a game."""


class MatchPlan(NamedTuple):
    """What is to be played: how many seats, and the complete configuration."""

    seats: int
    config: dict[str, Any]


class PresenceElsewhere(Protocol):
    """Which players are connected to other nodes. Provided by presence."""

    async def find_elsewhere(self, player_ids: Collection[PlayerId]) -> set[PlayerId]:
        """Say who of these is connected to another node that is alive."""


class MatchLobbies(Protocol):
    """Lobbies of matches that were found. Provided by lobbies."""

    def plan_match(self, ruleset: str, seats: int | None, config: dict[str, Any]) -> MatchPlan:
        """Complete what somebody wishes to play; raise `UnknownRuleset` or `InvalidField`."""

    async def read_party(self, lobby_id: LobbyId, host: PlayerId) -> Sequence[PlayerId]:
        """List the people of an open lobby, whose host asks; raise `NotTheHost` or `NotReady`."""

    async def open_match(
        self,
        lobby_id: LobbyId,
        ruleset: str,
        config: dict[str, Any],
        seats: Sequence[PlayerId | None],
        *,
        region: str | None,
    ) -> GameId:
        """Open a lobby with all its players and start its game; a repeat gives the same game.

        Seats of None are for bots.
        """


class PeerAdmissions(Protocol):
    """Whom members-only signaling lets in. Provided by lobbies."""

    async def read_admission(self, token: str, /) -> PeerAdmission | None:
        """Read a token; None for one that is not good, or whose owner is no member any more."""

    async def still_members(
        self, admissions: Collection[PeerAdmission], /
    ) -> Collection[PeerAdmission]:
        """Say which of these are still members."""

    async def find_meeting_nodes(self, lobby_ids: Collection[str], /) -> Mapping[str, str]:
        """Say on which node the peers of each lobby meet; those of public keys are under `""`."""

    async def find_live_nodes(self, nodes: Collection[str], /) -> set[str]:
        """Say which of these nodes are alive."""


class MembersKey(Protocol):
    """Which PeerJS key the members of peer lobbies use. Provided by signaling."""

    def __call__(self) -> str:
        """Give it; empty where there is no signaling."""


class StoredFiles(Protocol):
    """Which files there are. Provided by files."""

    async def find_missing(self, links: Collection[str], /) -> Sequence[str]:
        """Say which of these (bucket/path) are not stored."""


class FileUploads(Protocol):
    """Takes in files that other domains have a place for. Provided by files."""

    async def announce_at(
        self, who: Requester, bucket: str, stem: str, *, size: int, content_type: str
    ) -> Upload:
        """Allow an upload to a path without its ending, which the type gives.

        Raises `InvalidField`, `FileTaken` or `QuotaExceeded`.
        """


class ImageIntake(Protocol):
    """Processes uploaded images before anybody else sees them. Provided by images."""

    def takes(self, bucket: str, content_type: str) -> bool:
        """Say whether a file is an image to be processed."""

    async def require_room(self, owner: UserId) -> None:
        """Raise `Overloaded` or `RateLimited` where too many images wait already."""

    def wake(self) -> None:
        """Have an image that was recorded processed soon."""


class UnloadableSaves(NamedTuple):
    """Saves of one schema version that do not load: how many there are, and why."""

    schema_version: int
    saves: int
    reason: str


class SaveCompatibility(Protocol):
    """Whether stored saves load under other content. Provided by saves."""

    async def find_unloadable(
        self, title: str, *, oldest: int, newest: int
    ) -> Sequence[UnloadableSaves]:
        """Find a title's saves that do not load where these versions of its schema are understood.

        What upgrade steps bring to one of them loads; what is newer does not.
        """


class BotOwners(Protocol):
    """Which address owned a bot when. Provided by bots."""

    async def find_owners_at(
        self, bot_ids: Collection[BotId], at: datetime, /
    ) -> Mapping[BotId, str]:
        """Say which address owned each bot at a moment; a bot without an owner is left out."""


class SaveSlot(NamedTuple):
    """A save slot as it is now; `revision` is the current one."""

    slot_id: str
    account_id: UserId
    title: str
    revision: int
    schema_version: int
    play_time_s: int
    is_modded: bool
    state: dict[str, Any]


class SaveSlots(Protocol):
    """The save slots of people. Provided by saves.

    `connection` is the caller's open transaction, as the server.
    """

    async def lock(self, connection: Connection, account_id: UserId, slot_id: str) -> SaveSlot:
        """Hold an account's slot until the transaction ends; raise `SaveSlotNotFound`."""

    async def read(self, connection: Connection, account_id: UserId, slot_id: str) -> SaveSlot:
        """Read an account's slot; raise `SaveSlotNotFound`."""

    async def titles(self, connection: Connection, account_id: UserId) -> Mapping[str, str]:
        """Say which title each slot of an account is of, by the ids of slots."""

    async def write(
        self, connection: Connection, slot: SaveSlot, state: dict[str, Any]
    ) -> ChangeRow:
        """Write a state, the server's fields too, as a new revision of a slot that is locked.

        Announce what it gives (`ProgressStream`) once the transaction is committed.
        """


SlotHoldings: TypeAlias = Callable[[Connection, UserId, str], Awaitable[Mapping[str, int]]]


class SlotDeletions(Protocol):
    """What is lost with a slot. Provided by saves."""

    def add_holdings(self, read: SlotHoldings, /) -> None:
        """Have a domain asked what a slot holds: how many of what, by name.

        While there is anything, a slot is deleted only if its owner accepts that it is lost.
        """


class SaveUpgrades(Protocol):
    """Steps of save schemas that a patch cannot do. Provided by saves."""

    def add_upgrade(
        self, title: str, version: int, hook: Callable[[dict[str, Any]], dict[str, Any]], /
    ) -> None:
        """Have a pure function finish the step to a version, after its patch."""


class ProgressStream(Protocol):
    """What an account's devices are told. Provided by saves."""

    async def append(
        self,
        connection: Connection,
        account_id: UserId,
        kind: str,
        slot_id: str | None,
        data: Mapping[str, object],
    ) -> ChangeRow:
        """Add a change in the caller's transaction. `kind` is a domain's: `quest.completed`."""

    def announce(self, change: ChangeRow) -> None:
        """Tell the devices, and the other domains, of a change that is committed."""

    def followed(self) -> Collection[UserId]:
        """List the accounts whose devices follow their progress on this node."""


class Holdings(NamedTuple):
    """What a slot has, and the currencies of its account with its own; by id, above zero."""

    items: Mapping[str, int]
    currencies: Mapping[str, int]


class Economy(Protocol):
    """Grants and holdings of save slots. Provided by inventory.

    `connection` is the caller's open transaction, as the server. A grant adds a change to the
    account's stream; whoever announces one of their own afterwards has it delivered as well.
    """

    async def grant(
        self,
        connection: Connection,
        account_id: UserId,
        slot_id: str,
        bundle: Bundle,
        *,
        key: str,
        reason: str,
    ) -> Bundle | None:
        """Grant a bundle in the caller's transaction; None where the key was granted before.

        Give what was granted: to a modded slot nothing that belongs to the account. A key (up to
        190 characters) is the account's, whichever slot: copies of a slot cannot use it again.
        Raise `SaveSlotNotFound`, `AssetNotFound`, `HoldingFull`, or `GainRefused` for the
        implausible.
        """

    async def read_holdings(
        self, connection: Connection, account_id: UserId, slot_id: str
    ) -> Holdings:
        """Read a slot's items (item id -> quantity) and the account's/slot's currencies."""


class EconomyReview(Protocol):
    """What other domains find implausible, such as quests out of order. Provided by inventory."""

    async def flag_for_review(
        self,
        connection: Connection,
        account_id: UserId,
        slot_id: str,
        *,
        rule: str,
        subject: str,
        reason: str,
        mode: Mode | None,
    ) -> None:
        """Flag something for review in the caller's transaction, before it is carried out.

        `rule` is a word such as `quest_order`, `subject` what it is about, such as `quest:wolf`.
        `mode` says what is done about it; None: as the node is set. Where it is enforced, raise
        `GainRefused`.
        """


class FollowedPlayers(Protocol):
    """Whom people follow, as players. Provided by follows."""

    async def list_followed_players(self, who: Requester, *, limit: int) -> Sequence[PlayerId]:
        """List the players whom somebody follows, the newest first."""


class PlayerRating(NamedTuple):
    """How strong a player is at a ruleset; `deviation` says how uncertain that is."""

    rating: float
    deviation: float
    games: int


class PlayerRatings(Protocol):
    """How strong players are. Provided by ratings."""

    async def read_ratings(
        self, ruleset: str, players: Collection[PlayerId]
    ) -> Mapping[PlayerId, PlayerRating]:
        """Read ratings; a player without rated games has that of a beginner."""


class ChainProgress(Protocol):
    """How far the blockchain was read. Provided by blockchain."""

    async def knows_owners_at(self, at: datetime, /) -> bool:
        """Say whether every contract was read beyond a time, by whichever node."""


class SignedRequests(Protocol):
    """Requests to other systems, signed as webhooks are. Provided by webhooks."""

    def require_url(self, url: str) -> None:
        """Raise `InvalidField` for a URL that webhooks may not have."""

    async def post(
        self, url: str, body: bytes, *, message_id: str, keys: Sequence[bytes]
    ) -> str | None:
        """Send a body; says why it was not accepted, None if it was."""


class CompanionModeration(Protocol):
    """Reviews what is said to companions and what they answer.

    Not provided by the server's own domains: a title package may. Otherwise the words of
    `PLAYHALL_COMPANIONS_REFUSED_WORDS` are refused.
    """

    async def find_problem(self, text: str) -> str | None:
        """Say why a text is not allowed; None if it is."""
