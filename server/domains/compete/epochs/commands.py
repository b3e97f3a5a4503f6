"""`epoch.*`: following a day, claiming its slots, voting."""

from functools import partial
from typing import Any, Final

from persistence.epochs.claims import ClaimStore, NewClaim
from persistence.epochs.store import EpochDay, EpochStore
from persistence.epochs.votes import CountedVote, NewVote, VoteStore
from protocol import epochs as wire
from protocol.ids import EpochId
from server.domains.compete.epochs.board import event_view, take_first_that_fit
from server.domains.compete.epochs.board_streams import EpochStreams
from server.domains.compete.epochs.rules import (
    bot_not_found_error,
    choose_voting_wallet,
    explain_vote_refusal,
    require_bot,
    require_claim_allowed,
    require_live_epoch,
    validate_bot_vote_score,
    validate_slot_code,
    validate_vote_score,
)
from server.gateway.session.identity import Identity
from server.gateway.session.sessions import CommandRoute, Routes, Session

# A page of events fits into an outbox, whatever their code is.
PAGE_BYTES_MAX: Final = 256 * 1024


class EpochCommands:
    """The commands of epochs."""

    def __init__(
        self,
        *,
        days: EpochStore,
        claims: ClaimStore,
        ballots: VoteStore,
        following: EpochStreams,
    ) -> None:
        self._days = days
        self._claims = claims
        self._ballots = ballots
        self._following = following

    def routes(self) -> Routes:
        """Say how each command is carried out."""
        return {
            wire.Watch: CommandRoute(awaited=self._watch, scope="bot"),
            wire.Unwatch: CommandRoute(immediate=self._unwatch, scope="bot"),
            wire.ReadEvents: CommandRoute(awaited=self._read_events, cost=5.0, scope="bot"),
            wire.Claim: CommandRoute(awaited=self._claim, scope="bot"),
            wire.Vote: CommandRoute(awaited=self._vote, scope="bot"),
        }

    async def _watch(self, session: "Session", command: wire.Watch) -> dict[str, Any]:
        epoch_id = command.epoch_id or (await self._days.read_day(None)).epoch_id
        return await self._following.watch(session, epoch_id, command.after)

    def _unwatch(self, session: "Session", command: wire.Unwatch) -> None:
        self._following.unwatch(session, command.epoch_id)
        session.reply(command.id)

    async def _read_events(self, _: "Session", command: wire.ReadEvents) -> dict[str, Any]:
        day = await self._days.read_day(command.epoch_id)
        events = await self._days.read_events(
            day.epoch_id, after=command.after, limit=command.limit
        )
        shown = [
            event_view(day.epoch_id, event) for event in take_first_that_fit(events, PAGE_BYTES_MAX)
        ]
        return {"epoch_id": day.epoch_id, "head": day.version, "events": shown}

    async def _claim(self, session: "Session", command: wire.Claim) -> dict[str, Any]:
        who = session.who
        bot = require_bot(who, "claim")
        day = await self._open_day(command.epoch_id)
        validate_slot_code(day.profile, command.slot_index, command.code)
        claim = NewClaim(day.epoch_id, command.slot_index, command.code, bot.bot_id, who.session_id)
        version = await self._claims.claim(claim, require_claim_allowed)
        self._following.publish_committed(day.epoch_id, version)
        return {"epoch_id": day.epoch_id, "version": version}

    async def _vote(self, session: "Session", command: wire.Vote) -> dict[str, Any]:
        day = await self._open_day(command.epoch_id)
        counted = await self._cast(session.who, day, command)
        self._following.publish_committed(day.epoch_id, counted.version)
        weight = format(counted.weight.normalize(), "f")
        return {"epoch_id": day.epoch_id, "version": counted.version, "weight": weight}

    async def _cast(self, who: Identity, day: EpochDay, command: wire.Vote) -> CountedVote:
        if who.bot is None:
            score = validate_vote_score(day.profile, command)
        else:
            score = validate_bot_vote_score(day.profile, command, require_bot(who, "vote"))
        if command.target_type == "bot" and not await self._ballots.is_bot(command.target_id):
            raise bot_not_found_error()
        vote = NewVote(day.epoch_id, who.session_id, command.target_type, command.target_id, score)
        with explain_vote_refusal():
            if who.bot is None:
                choose = partial(choose_voting_wallet, wallet=command.wallet)
                return await self._ballots.cast_vote(who.requester, vote, choose)
            return await self._ballots.cast_bot_vote(who.bot.bot_id, vote)

    async def _open_day(self, epoch_id: EpochId | None) -> EpochDay:
        """Read the day, so that what can be refused is refused without holding it."""
        day = await self._days.read_day(epoch_id)
        require_live_epoch(day)
        return day
