"""Peer lobbies: the host's address, sessions and results, and what members need to connect."""

import hmac
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from persistence.errors import StartRefused
from persistence.lobbies.model import Lobby, PeerMatch
from persistence.lobbies.store import LobbyStore
from protocol.errors import BadToken, InvalidField, LobbyClosed, NotAMember, NotReady
from protocol.ids import LobbyId, MatchId, PlayerId, new_id
from protocol.peer_lobbies import Report
from protocol.signaling import (
    ICE_URLS_MAX,
    NoSignaling,
    PeerAccess,
    PeerAdmission,
    StunServer,
    TurnServer,
)
from server.core.clock import Clock
from server.core.settings import split_names
from server.domains.interfaces import MembersKey, TokenScope
from server.domains.play.lobbies import rules
from server.domains.play.lobbies.catalog import RulesetCatalog, validate_config
from server.domains.play.lobbies.changes import LobbyChanges, LobbyGameStarter, require_found
from server.domains.play.lobbies.rules import require_visible
from server.domains.play.lobbies.settings import LobbySettings
from server.gateway.session.identity import Identity


class IceServers(NamedTuple):
    """What the operator runs; `turn_secret` is the `static-auth-secret` of the TURN servers."""

    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()
    turn_secret: str = ""
    turn_ttl_s: int = 3600

    def servers(self, player_id: PlayerId, now: datetime) -> list[TurnServer | StunServer]:
        """List them for somebody; what they get for TURN is good for `turn_ttl_s`."""
        servers: list[TurnServer | StunServer] = []
        if self.stun_urls:
            servers.append(StunServer(urls=list(self.stun_urls)))
        if self.turn_urls:
            username = f"{int(now.timestamp()) + self.turn_ttl_s}:{player_id}"
            credential = turn_password(self.turn_secret, username)
            urls = list(self.turn_urls)
            servers.append(TurnServer(urls=urls, username=username, credential=credential))
        return servers


def build_ice_servers(settings: LobbySettings) -> IceServers:
    """Read what the operator runs; refuse to start with what no browser would take."""
    secret = settings.turn_secret.get_secret_value() if settings.turn_secret else ""
    turn_urls = _urls("PLAYHALL_TURN_URLS", settings.turn_urls, ("turn:", "turns:"))
    if bool(turn_urls) != bool(secret):
        raise StartRefused("Set both PLAYHALL_TURN_URLS and PLAYHALL_TURN_SECRET, or neither.")
    stun_urls = _urls("PLAYHALL_STUN_URLS", settings.stun_urls, ("stun:", "stuns:"))
    return IceServers(stun_urls, turn_urls, secret, settings.turn_ttl_s)


def turn_password(secret: str, username: str) -> str:
    """Give what a TURN server that shares the secret expects of a user name."""
    return b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()


def _urls(setting: str, listed: str, schemes: tuple[str, ...]) -> tuple[str, ...]:
    urls = split_names(listed)
    if wrong := next((url for url in urls if not url.startswith(schemes)), None):
        raise StartRefused(f"{setting}: {wrong} must begin with {' or '.join(schemes)}.")
    if len(urls) > ICE_URLS_MAX:
        raise StartRefused(f"{setting}: list at most {ICE_URLS_MAX}.")
    return urls


RELAY = "relay"


def with_host_peer_id(lobby: Lobby, host: PlayerId, peer_id: str) -> Lobby:
    """Note where the members reach the host."""
    require_peer_host(lobby, host)
    return replace(lobby, host_peer_id=peer_id)


def begin_peer_session(
    lobby: Lobby, host: PlayerId, *, match_id: MatchId, started_at: datetime
) -> Lobby:
    """Begin a session of all who sit here."""
    rules.require_all_ready(lobby, host)
    require_peer_host(lobby, host)
    if lobby.host_peer_id is None:
        raise NotReady("Members cannot reach you yet; send lobby.register_peer first.")
    seated = sorted(lobby.players, key=lambda player: player.seat or 0)
    return replace(
        lobby,
        status="PLAYING",
        match_id=match_id,
        started_at=started_at,
        lineup=tuple(player.player_id for player in seated),
    )


def end_peer_session(
    lobby: Lobby, host: PlayerId, report: Report, now: datetime
) -> tuple[Lobby, PeerMatch]:
    """End a session: the lobby is open again, and everybody says anew that they are ready."""
    require_peer_host(lobby, host)
    if lobby.status != "PLAYING":
        raise NotReady(
            "No session is running, so there is nothing to report; send lobby.start first."
        )
    if report.match_id != lobby.match_id:
        problem = "match_id: this is not the lobby's current session; lobby.watch shows it."
        raise InvalidField(problem, field="match_id")
    match = PeerMatch(
        match_id=report.match_id,
        lobby=lobby,
        reported_by=host,
        ended_at=max(now, lobby.started_at or now),
        winner_id=_winner(lobby, report),
        scores=_scores(lobby, report),
    )
    return replace(rules.clear_ready(lobby), status="OPEN"), match


def fall_back_to_relay(lobby: Lobby, host: PlayerId, config: dict[str, Any]) -> Lobby:
    """Turn a peer lobby into one of the relay ruleset, all ready; leave one that is so be."""
    rules.require_host(lobby, host)
    if lobby.mode == "server" and lobby.ruleset == RELAY:
        return lobby
    require_peer_host(lobby, host)
    return replace(
        lobby,
        mode="server",
        ruleset=RELAY,
        config=config,
        status="OPEN",
        host_peer_id=None,
        match_id=None,
        started_at=None,
        lineup=(),
        members=tuple(member._replace(ready=True) for member in lobby.members),
    )


def without_silent_host(lobby: Lobby, host: PlayerId, silent_s: float) -> Lobby:
    """Let a host go who has shown no life for so long; leave any other lobby as it is."""
    is_silent = lobby.host_silent_s >= silent_s and lobby.status != "CLOSED"
    gone = lobby.find_member(host)
    if lobby.mode != "peer" or lobby.host_player_id != host or gone is None or not is_silent:
        return lobby
    return rules.remove_member(lobby, gone)


def require_peer_host(lobby: Lobby, host: PlayerId) -> None:
    """Refuse everybody but the host of a peer lobby that is not closed."""
    rules.require_host(lobby, host)
    if lobby.status == "CLOSED":
        raise LobbyClosed("The lobby is closed; find another one, or create one.")
    if lobby.mode != "peer":
        problem = "lobby_id: this lobby's game runs on the server; create one with mode `peer`."
        raise InvalidField(problem, field="lobby_id")


def _winner(lobby: Lobby, report: Report) -> PlayerId | None:
    if report.winner_id is not None and report.winner_id not in lobby.lineup:
        problem = "winner_id: this player did not take part in the session."
        raise InvalidField(problem, field="winner_id")
    return report.winner_id


def _scores(lobby: Lobby, report: Report) -> dict[PlayerId, int | None]:
    if stranger := next((p for p in report.scores if p not in lobby.lineup), None):
        problem = f"scores: {stranger} did not take part in the session."
        raise InvalidField(problem, field="scores")
    return {player: report.scores.get(player) for player in lobby.lineup}


class PeerAccessControl:
    """Gives members of peer lobbies what they need to signal.

    `key` says which PeerJS key, `server` where clients reach this node. `is_any_node` says whether
    peers reach each other from any node at present; otherwise all of a lobby are sent to one.
    """

    def __init__(
        self,
        store: LobbyStore,
        *,
        key: MembersKey,
        ice: IceServers,
        tokens: TokenScope,
        clock: Clock,
        server: Callable[[], str],
        is_any_node: Callable[[], bool],
    ) -> None:
        self._store = store
        self._key = key
        self._ice = ice
        self._tokens = tokens
        self._clock = clock
        self._server = server
        self._is_any_node = is_any_node

    async def issue(self, who: Identity, lobby_id: LobbyId) -> PeerAccess:
        """Write a token for a member of a peer lobby that is not closed."""
        key = self._key()
        if not key:
            raise NoSignaling
        await self._require_member(who, lobby_id)
        claims = {"lobby": lobby_id, "pid": who.player_id, "sid": who.session_id}
        written = self._tokens.write(claims)
        return PeerAccess(
            url=await self._meeting_address(lobby_id),
            key=key,
            token=written.token,
            expires_at=written.expires_at,
            ice_servers=self._ice.servers(who.player_id, self._clock.now()),
        )

    async def read_admission(self, token: str) -> PeerAdmission | None:
        """Read a token; None for one that is not good, or whose owner is no member any more."""
        try:
            claims = await self._tokens.read(token)
            admission = PeerAdmission(claims["lobby"], claims["pid"], claims["sid"])
        except (BadToken, KeyError):
            return None
        return admission if await self.still_members([admission]) else None

    async def still_members(self, admissions: Collection[PeerAdmission]) -> set[PeerAdmission]:
        """Say which of these are still members of an open peer lobby, by a session of theirs."""
        return {PeerAdmission(*found) for found in await self._store.find_peer_members(admissions)}

    async def find_meeting_nodes(self, lobby_ids: Collection[str]) -> Mapping[str, str]:
        """Say on which node the peers of each lobby meet; those of public keys are under `""`."""
        return await self._store.find_meeting_nodes(lobby_ids)

    async def find_live_nodes(self, nodes: Collection[str]) -> set[str]:
        """Say which of these nodes are alive."""
        return await self._store.find_live_nodes(nodes)

    async def _meeting_address(self, lobby_id: LobbyId) -> str:
        if self._is_any_node():
            return self._server()
        return await self._store.read_peer_node(lobby_id) or self._server()

    async def _require_member(self, who: Identity, lobby_id: LobbyId) -> None:
        lobby = require_visible(await self._store.read(lobby_id), who.player_id)
        if lobby.find_member(who.player_id) is None:
            raise NotAMember
        if lobby.status == "CLOSED":
            raise LobbyClosed("The lobby is closed; find another one, or create one.")
        if lobby.mode != "peer":
            problem = "lobby_id: this lobby's game runs on the server, so it has no peers."
            raise InvalidField(problem, field="lobby_id")


class PeerLobbyService:
    """Carries out the wishes of peer lobbies' hosts."""

    def __init__(
        self,
        store: LobbyStore,
        changes: LobbyChanges,
        *,
        starter: LobbyGameStarter,
        catalog: RulesetCatalog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._changes = changes
        self._starter = starter
        self._catalog = catalog
        self._clock = clock

    async def register(self, host: PlayerId, lobby_id: LobbyId, peer_id: str) -> Lobby:
        """Note where the members reach the host."""
        decide = partial(with_host_peer_id, host=host, peer_id=peer_id)
        lobby = await self._changes.apply_rule(lobby_id, decide, "peer_registered", host)
        await self._store.refresh_host(lobby_id, host)
        return lobby

    async def heartbeat(self, host: PlayerId, lobby_id: LobbyId) -> None:
        """Show that the host's machine still runs the lobby."""
        if not await self._store.refresh_host(lobby_id, host):
            require_peer_host(require_found(await self._store.read(lobby_id)), host)

    async def start(self, host: PlayerId, lobby_id: LobbyId) -> Lobby:
        """Begin a session."""
        match_id, now = MatchId(new_id()), self._clock.now()
        decide = partial(begin_peer_session, host=host, match_id=match_id, started_at=now)
        return await self._changes.apply_rule(lobby_id, decide, "started", host)

    async def report(self, host: PlayerId, report: Report) -> Lobby:
        """Put a session's result on record, once; the lobby is open again."""
        async with self._changes.turns.hold(report.lobby_id):
            async with self._store.transaction() as transaction:
                before = require_found(await transaction.lock_lobby(report.lobby_id))
                rules.require_member(before, host)
                if await transaction.has_match(report.lobby_id, report.match_id):
                    return before
                after, match = end_peer_session(before, host, report, self._clock.now())
                await transaction.add_match(match)
                after = await transaction.save(before, after)
            self._changes.publish_if_changed(before, after, "reported", host)
        return after

    async def may_upload_replay(self, match_id: MatchId, player_id: PlayerId) -> bool:
        """Say whether a match between peers is on record as this player reported it."""
        return await self._store.is_reporter(match_id, player_id)

    async def fall_back(self, host: PlayerId, lobby_id: LobbyId) -> Lobby:
        """Play on the server, under the same lobby."""
        config = validate_config(self._catalog.ruleset(RELAY), {})
        decide = partial(fall_back_to_relay, host=host, config=config)
        lobby = await self._changes.apply_rule(lobby_id, decide, "fell_back", host)
        if lobby.status == "PLAYING":
            return lobby
        check = partial(rules.require_all_ready, host=host)
        return await self._starter.start(lobby_id, check, host)
