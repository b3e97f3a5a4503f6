"""Whole days in seconds: a real node advances them, bots and people play, anybody recounts."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from persistence.database import Database
from persistence.epochs.store import EpochStore
from protocol.epoch_profile import EpochProfile
from server.domains.compete.epochs.settlement import EpochEvent
from tests.integration.epochs.line import PATIENCE_S, Json, Line, replay, versions
from tests.integration.epochs.served import Player, Served, serving
from tests.integration.epochs.stage import MIDNIGHT, profile
from tests.unit.epochs.formula import by_the_formula, divided

PHASES: Final = ["prep", "live", "freeze", "snapshot", "settle", "archive"]
BOTS: Final = 20
VOTERS: Final = 200
CLAIMS_EACH: Final = 5
AT_ONCE: Final = 16
SPEED: Final = 120.0  # while they play: at most twenty seconds
REST_SPEED: Final = 5_000.0  # the rest of a day, from what is left of its live hour to its archive
TICK_S: Final = 0.1


def rules_of(slots: int) -> EpochProfile:
    """An hour of play in which everything that may count does."""
    rules = profile(slots, cadence={"duration_hours": 1, "freeze_minutes": 15})
    rules["cooldowns"] = {"bot_s": 20, "slot_s": 2, "vote_s": 0}  # who votes twice does so at once
    rules["governance"]["anti_abuse"] = {"newcomer_weight": "0.25", "known_after": 1}
    rules["settlement"] |= {"minimum_hold_s": 10, "rapid_s": 60, "rapid_factor": "0.3"}
    return EpochProfile.model_validate(rules)


@pytest.fixture
async def served(
    database: Database, fresh_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Served]:
    """A node that advances the days by itself, ten times a second."""
    monkeypatch.setattr("server.domains.compete.epochs.scheduler.TICK_S", TICK_S)
    await EpochStore(database).set_clock(MIDNIGHT - timedelta(days=7))
    async with serving(fresh_dsn, tmp_path, scheduling=True) as served:
        yield served


async def test_days_of_8_10_and_12_slots_go_from_prep_to_archive(served: Served) -> None:
    async with AsyncExitStack() as stack:
        cast = Cast([], [], [])
        for _ in range(BOTS):
            player = await served.player()
            cast.players.append(player)
            cast.bots.append(await stack.enter_async_context(served.line(player)))
        for _ in range(VOTERS):
            voter = await served.person(wallets=1)
            cast.voters.append(await stack.enter_async_context(served.line(voter)))
        watcher = await stack.enter_async_context(served.line())
        for number, slots in enumerate((8, 10, 12)):
            watcher.events.clear()
            midnight = MIDNIGHT + timedelta(days=number)
            epoch_id, snapshot = await announced(served, watcher, midnight, slots)
            await served.stage.days.set_clock(midnight, speed=SPEED)
            await phase(watcher, "live")
            await cast.play(epoch_id, Random(slots), slots)
            await served.stage.days.set_clock(await served.stage.days.now(), speed=REST_SPEED)
            await phase(watcher, "archive")
            # At this speed the node would make and end the next day while this one is checked.
            await served.stage.days.set_clock(await served.stage.days.now())
            await is_sent_whole(served, epoch_id, watcher, snapshot)
            await is_settled_by_the_formula(served, epoch_id, cast)
            # People who voted on an earlier day are known by now, and weigh more.
            weights = {event["payload"].get("weight") for event in watcher.events}
            assert weights == {None, "0.2500" if number == 0 else "1.0000"}


async def announced(
    served: Served, watcher: Line, midnight: datetime, slots: int
) -> tuple[str, Json]:
    """Let the node make the next day; gives its id, and how its watcher sees it."""
    days, key = served.stage.days, f"test-{slots}"
    await days.save_profile(key, rules_of(slots))
    await days.activate_profile(key)
    await days.set_clock(midnight - timedelta(minutes=1))
    async with asyncio.timeout(PATIENCE_S):
        while True:
            listed = await served.ok(None, "GET", "/v1/epochs", limit=1)
            if listed["epochs"] and listed["epochs"][0]["day"] == midnight.date().isoformat():
                break
            await asyncio.sleep(TICK_S)
    (day,) = listed["epochs"]
    snapshot = (await watcher.watch(epoch_id=day["epoch_id"]))["snapshot"]
    assert (day["phase"], snapshot["phase"], len(snapshot["slots"])) == ("prep", "prep", slots)
    return day["epoch_id"], snapshot


async def phase(watcher: Line, name: str) -> None:
    """Watch until the day enters a phase."""
    while not (watcher.events and watcher.events[-1]["payload"].get("phase") == name):
        await watcher.receive()


# ------------------------------------------------------------------ who plays


@dataclass(frozen=True)
class Cast:
    """Bots, and people who vote on them."""

    players: list[Player]
    bots: list[Line]
    voters: list[Line]

    async def play(self, epoch_id: str, chance: Random, slots: int) -> None:
        """Let all bots claim, and each person vote, some of them twice."""
        gate = asyncio.Semaphore(AT_ONCE)
        work: list[Coroutine[Any, Any, None]] = [
            claim_some(line, epoch_id, Random(chance.random()), slots) for line in self.bots
        ]
        work += [self._vote(line, epoch_id, Random(chance.random()), gate) for line in self.voters]
        await asyncio.gather(*work)

    async def _vote(
        self, line: Line, epoch_id: str, chance: Random, gate: asyncio.Semaphore
    ) -> None:
        target = chance.choice(self.players).bot_id
        for _ in range(chance.choice((1, 1, 2))):
            score = round(chance.uniform(-1, 1), 4)
            vote = {"target_type": "bot", "target_id": target, "score": score}
            async with gate:
                await line.ok("epoch.vote", epoch_id=epoch_id, **vote)


async def claim_some(line: Line, epoch_id: str, chance: Random, slots: int) -> None:
    """Claim slots, and wait where it is too early, for as long as the answer says."""
    done = 0
    while done < CLAIMS_EACH:
        slot_index = chance.randrange(slots)
        claim = {"slot_index": slot_index, "code": f"{slot_index} [{chance.random()}]"}
        answer = await line.ask("epoch.claim", epoch_id=epoch_id, **claim)
        if answer["type"] == "ok":
            done += 1
            continue
        assert answer["code"] == "cooldown", answer
        await asyncio.sleep(answer["wait_s"] / SPEED)


# ------------------------------------------------------------------ what comes of it


async def is_sent_whole(served: Served, epoch_id: str, watcher: Line, snapshot: Json) -> None:
    """Check that the stream, the log and the final slots agree."""
    path = f"/v1/epochs/{epoch_id}"
    events = await every_event(served, path)
    head = (await served.ok(None, "GET", path))["version"]
    assert versions(events) == list(range(1, head + 1))
    assert phases(events) == PHASES
    followed = [{**event, "type": "epoch.event"} for event in events[snapshot["version"] :]]
    assert watcher.events == followed
    slots = await served.ok(None, "GET", f"{path}/slots")
    seen = replay(snapshot, watcher.events)
    assert (seen["phase"], seen["version"], seen["slots"]) == ("archive", head, slots["slots"])


async def every_event(served: Served, path: str) -> list[Json]:
    events: list[Json] = []
    while page := (await served.ok(None, "GET", f"{path}/events", after=len(events), limit=300))[
        "events"
    ]:
        events += page
    return events


def phases(events: Sequence[Json]) -> list[str]:
    return [event["payload"]["phase"] for event in events if event["event"] == "phase_changed"]


async def is_settled_by_the_formula(served: Served, epoch_id: str, cast: Cast) -> None:
    """Settle the day again from what everybody may read."""
    path = f"/v1/epochs/{epoch_id}"
    config = (await served.ok(None, "GET", f"{path}/profile"))["config"]
    rules = EpochProfile.model_validate(config).settlement
    day = await served.ok(None, "GET", path)
    frozen = takewhile(
        lambda event: "freeze" not in phases([event]), await every_event(served, path)
    )
    events = [as_counted(event) for event in frozen]
    claims = [event for event in events if event.slot_index is not None]
    voters = {event.voter for event in events if event.voter}
    assert (len(claims), len(voters)) == (BOTS * CLAIMS_EACH, VOTERS)
    raw = by_the_formula(events, rules, frozen_at=datetime.fromisoformat(day["frozen_at"]))
    board = (await served.ok(None, "GET", f"{path}/scoreboard"))["bots"]
    assert {bot["bot_id"]: Fraction(bot["raw_score"]) for bot in board} == raw
    assert sum(Fraction(bot["share"]) for bot in board) == 1
    paid = await served.ok(None, "GET", f"{path}/payouts")
    wei, points = divided(int(day["pool_wei"]), raw), divided(10_000, raw)
    owners = {player.bot_id: player.owner.wallets[0] for player in cast.players}
    assert {
        (one["bot_id"], one["recipient_address"], one["bps"], int(one["amount_wei"]))
        for one in paid["payouts"]
    } == {(bot, owners[bot], points[bot], wei[bot]) for bot in raw if points[bot]}
    assert [one["number"] for one in paid["settlements"]] == [1]


def as_counted(event: Json) -> EpochEvent:
    """Read an event of HTTP as the formula has it; a voter is known by the ballot."""
    return EpochEvent(
        version=event["version"],
        type=event["event"],
        occurred_at=datetime.fromisoformat(event["at"]),
        bot_id=event["bot_id"],
        voter=event["payload"].get("ballot"),
        slot_index=event["slot_index"],
        payload=event["payload"],
    )
