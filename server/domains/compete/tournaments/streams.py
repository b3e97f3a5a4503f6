"""Live updates of tournaments: a topic for each, numbered by its version.

A notice only says how far a tournament is; the tournament itself is read, once for all watchers of
a node, however many results came together. So versions may be left out, and the newest arrives.
"""

from collections.abc import Sequence
from typing import Final

from persistence.broker import NO_NUMBER, Notice
from persistence.tournaments.store import TournamentStore
from protocol.errors import Overloaded
from protocol.tournaments import (
    WATCHED_MAX,
    TournamentChanged,
    TournamentNotFound,
    Unwatch,
    Watch,
    WatchingTournament,
)
from server.core.subscriptions import PollPolicy, Subscriptions, TooManySubscribers, Topic
from server.domains.compete.tournaments.views import tournament_view
from server.gateway.session.sessions import CommandRoute, Routes, Session, update_frame

POLL: Final = PollPolicy(live_s=30.0, alone_s=2.0)


class TournamentStreams:
    """Who follows which tournament on this node. The source of their topics."""

    def __init__(self, subscriptions: Subscriptions, store: TournamentStore) -> None:
        self._tournaments = subscriptions.kind("tournament", source=self, poll=POLL)
        self._store = store

    def __len__(self) -> int:
        """Count the tournaments that are followed here."""
        return len(self._tournaments)

    def routes(self) -> Routes:
        """Say how the commands are carried out."""
        return {
            Watch: CommandRoute(awaited=self._watch),
            Unwatch: CommandRoute(awaited=self._unwatch),
        }

    def announce(self, tournament_id: str, version: int) -> None:
        """Announce a change that is committed, here and to other nodes."""
        if (topic := self._tournaments.get(tournament_id)) is not None:
            topic.request_catch_up()
        self._tournaments.notify(tournament_id, number=version)

    # ------------------------------------------------------------------ the source of topics

    def on_notice(self, _: Topic[Session], __: Notice) -> bool:
        """Have the tournament read; a notice only says how far it is."""
        return False

    async def deliver_missed(self, topics: Sequence[Topic[Session]]) -> None:
        """Send what changed since it was delivered here."""
        known = [topic for topic in topics if topic.number != NO_NUMBER]
        if not known:
            return
        versions = await self._store.read_versions([topic.key for topic in known])
        for topic in known:
            if versions.get(topic.key, 0) <= topic.number:
                continue
            found = await self._store.read(topic.key)
            if found is not None and found.version > topic.number:
                topic.note_delivered(found.version)
                topic.send(update_frame(TournamentChanged(tournament=tournament_view(found))))

    # ------------------------------------------------------------------ commands

    async def _watch(self, session: Session, command: Watch) -> WatchingTournament:
        tournament_id = command.tournament_id
        if await self._store.read(tournament_id) is None:
            raise TournamentNotFound
        key = ("tournament", tournament_id)
        if not session.follows(key) and not session.socket.closing:
            if session.following("tournament") >= WATCHED_MAX:
                raise Overloaded(
                    f"You are following {WATCHED_MAX} tournaments; use tournament.unwatch first."
                )
            try:
                stop = self._tournaments.subscribe(tournament_id, session, session.socket.send)
            except TooManySubscribers:
                raise Overloaded(
                    "Too many clients follow this; send tournament.watch later."
                ) from None
            session.follow(key, stop)
        found = await self._store.read(tournament_id)
        assert found is not None
        if (topic := self._tournaments.get(tournament_id)) is not None:
            topic.note_read(found.version)
            topic.request_catch_up()  # what was committed while it was read
        return WatchingTournament(re=command.id, tournament=tournament_view(found))

    async def _unwatch(self, session: Session, command: Unwatch) -> None:
        session.unfollow(("tournament", command.tournament_id))
