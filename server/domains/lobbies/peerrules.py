"""The rules of peer lobbies: their host's address, their sessions, and the way to the server."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from persistence.lobbyrows import Lobby, PeerMatch
from protocol.errors import InvalidField, LobbyClosed, NotReady
from protocol.ids import MatchId, PlayerId
from protocol.peerlobby import Report
from server.domains.lobbies import rules

RELAY = "relay"


def with_peer(lobby: Lobby, host: PlayerId, peer_id: str) -> Lobby:
    """Note where the members reach the host."""
    require_peer_host(lobby, host)
    return replace(lobby, host_peer_id=peer_id)


def begun(lobby: Lobby, host: PlayerId, *, match_id: MatchId, started_at: datetime) -> Lobby:
    """Begin a session of all who sit here."""
    rules.require_all_ready(lobby, host)
    require_peer_host(lobby, host)
    if lobby.host_peer_id is None:
        raise NotReady("Nobody could reach you; send lobby.register_peer first.")
    seated = sorted(lobby.players, key=lambda player: player.seat or 0)
    return replace(
        lobby,
        status="PLAYING",
        match_id=match_id,
        started_at=started_at,
        lineup=tuple(player.player_id for player in seated),
    )


def ended(lobby: Lobby, host: PlayerId, report: Report, now: datetime) -> tuple[Lobby, PeerMatch]:
    """End a session: the lobby is open again, and everybody says anew that they are ready."""
    require_peer_host(lobby, host)
    if lobby.status != "PLAYING":
        raise NotReady("No session runs here; there is nothing to report before lobby.start.")
    if report.match_id != lobby.match_id:
        problem = "match_id: this is not the session that runs here; lobby.watch shows which is."
        raise InvalidField(problem, field="match_id")
    match = PeerMatch(
        match_id=report.match_id,
        lobby=lobby,
        reported_by=host,
        ended_at=max(now, lobby.started_at or now),
        winner_id=_winner(lobby, report),
        scores=_scores(lobby, report),
    )
    return replace(rules.unready(lobby), status="OPEN"), match


def fallen_back(lobby: Lobby, host: PlayerId, config: dict[str, Any]) -> Lobby:
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
    gone = lobby.member(host)
    if lobby.mode != "peer" or lobby.host_player_id != host or gone is None or not is_silent:
        return lobby
    return rules.without(lobby, gone)


def require_peer_host(lobby: Lobby, host: PlayerId) -> None:
    """Refuse everybody but the host of a peer lobby that is not closed."""
    rules.require_host(lobby, host)
    if lobby.status == "CLOSED":
        raise LobbyClosed("The lobby is closed; find another, or open one.")
    if lobby.mode != "peer":
        problem = "lobby_id: this lobby's game runs on the server; open one with mode `peer`."
        raise InvalidField(problem, field="lobby_id")


def _winner(lobby: Lobby, report: Report) -> PlayerId | None:
    if report.winner_id is not None and report.winner_id not in lobby.lineup:
        problem = "winner_id: this player was not there when the session started."
        raise InvalidField(problem, field="winner_id")
    return report.winner_id


def _scores(lobby: Lobby, report: Report) -> dict[PlayerId, int | None]:
    if stranger := next((p for p in report.scores if p not in lobby.lineup), None):
        problem = f"scores: {stranger} was not there when the session started."
        raise InvalidField(problem, field="scores")
    return {player: report.scores.get(player) for player in lobby.lineup}
