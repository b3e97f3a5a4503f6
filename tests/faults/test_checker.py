"""The checker itself: a game that was really played passes, and every forgery is found."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from random import Random

import pytest

from protocol.ids import GameId
from tests.faults.checker import Evidence, StoredEvent, findings
from tests.faults.conftest import Nodes
from tests.faults.evidence import read_evidence
from tests.faults.playing import hall
from tests.faults.recording import Witness
from tests.faults.toll import toll

pytestmark = pytest.mark.slow


@dataclass
class Case:
    """What one forger may touch."""

    evidence: Evidence
    witnesses: list[Witness]

    @property
    def game_id(self) -> GameId:
        """The relay, which is the first witness's game."""
        return GameId(self.witnesses[0].game_id)

    @property
    def log(self) -> list[StoredEvent]:
        log = self.evidence.logs[self.game_id]
        assert isinstance(log, list)
        return log


@pytest.fixture
async def case(nodes: Nodes, serving_dsn: str, fresh_dsn: str) -> AsyncIterator[Case]:
    """Three games that were played to the end: a relay, four in a row, El Dorado."""
    node = nodes("a", serving_dsn)
    async with hall(lambda: node.url, Random(1), relays=1, turns=2) as games:
        games.enough.set()
        async with asyncio.timeout(60):
            await games.play()
        await games.players[0].repeat(1)
        witnesses = [player.witness for player in games.players]
        yield Case(await read_evidence(fresh_dsn), witnesses)


def alter(log: list[StoredEvent], place: int, **payload: object) -> None:
    event = log[place]
    log[place] = event._replace(payload={**event.payload, **payload})


def of_command(log: list[StoredEvent]) -> int:
    return next(event.event_index for event in log if "_cmd" in event.payload)


def delete_a_row(case: Case) -> None:
    del case.log[2]


def delete_the_last_row(case: Case) -> None:
    del case.log[-1]


def swap_two_rows(case: Case) -> None:
    case.log[1], case.log[2] = case.log[2], case.log[1]


def swap_two_payloads(case: Case) -> None:
    one, other = case.log[1], case.log[2]
    case.log[1:3] = [one._replace(payload=other.payload), other._replace(payload=one.payload)]


def alter_a_payload(case: Case) -> None:
    alter(case.log, of_command(case.log), data={"n": -1})


def repeat_a_command(case: Case) -> None:
    first, *_, last = [event for event in case.log if event.payload.get("_cmd", [1])[0] == 0]
    alter(case.log, last.event_index, _cmd=first.payload["_cmd"])


def forget_an_acknowledged_command(case: Case) -> None:
    witness = case.witnesses[0]
    witness.sent[99] = {"n": 99}
    witness.replies[99] = [{"type": "ok", "event_index": 3}]


def acknowledge_another_index(case: Case) -> None:
    case.witnesses[0].replies[1][-1]["event_index"] += 1


def send_something_else(case: Case) -> None:
    case.witnesses[0].sent[1] = {"n": "else"}


def see_an_event_twice(case: Case) -> None:
    case.witnesses[1].events.insert(2, case.witnesses[1].events[2])


def see_two_events_the_other_way_round(case: Case) -> None:
    events = case.witnesses[1].events
    events[1], events[2] = events[2], events[1]


def miss_an_event(case: Case) -> None:
    del case.witnesses[1].events[2]


def see_another_payload(case: Case) -> None:
    case.witnesses[1].events[2]["payload"] = {"n": "seen"}


def see_another_time(case: Case) -> None:
    case.witnesses[1].events[2]["at"] = "2000-01-01T00:00:00.000Z"


def see_what_is_not_there(case: Case) -> None:
    last = case.witnesses[1].events[-1]
    case.witnesses[1].events.append({**last, "event_index": last["event_index"] + 1})


def complete_by_half(case: Case) -> None:
    del case.evidence.summaries[case.game_id]  # type: ignore[attr-defined]  # a copy of ours


def complete_twice(case: Case) -> None:
    case.evidence.matches[case.game_id] += 1


def count_a_game_twice(case: Case) -> None:
    next(iter(case.evidence.statistics.values()))["games_played"] += 1


def stay_unfinished(case: Case) -> None:
    game = replace(case.evidence.games[case.game_id], status="in_progress")
    case.evidence.games[case.game_id] = game  # type: ignore[index]  # a copy of ours


FORGERIES: list[Callable[[Case], None]] = [
    delete_a_row,
    delete_the_last_row,
    swap_two_rows,
    swap_two_payloads,
    alter_a_payload,
    repeat_a_command,
    forget_an_acknowledged_command,
    acknowledge_another_index,
    send_something_else,
    see_an_event_twice,
    see_two_events_the_other_way_round,
    miss_an_event,
    see_another_payload,
    see_another_time,
    see_what_is_not_there,
    complete_by_half,
    complete_twice,
    count_a_game_twice,
    stay_unfinished,
]


async def test_checker_passes_what_was_played_and_finds_every_forgery(case: Case) -> None:
    assert findings(case.evidence, case.witnesses) == []
    assert Counter(game.status for game in case.evidence.games.values()) == {"completed": 3}
    unseen = []
    for forge in FORGERIES:
        forged = deepcopy(case)
        forge(forged)
        if not findings(forged.evidence, forged.witnesses):
            unseen.append(forge.__name__)
    assert unseen == []


def lose_the_end(case: Case) -> None:
    del case.log[2:]


COSTS = [
    (delete_a_row, "lost"),
    (lose_the_end, "lost"),
    (forget_an_acknowledged_command, "lost"),
    (acknowledge_another_index, "lost"),
    (see_what_is_not_there, "lost"),
    (repeat_a_command, "repeated"),
    (see_an_event_twice, "repeated"),
    (swap_two_rows, "reordered"),
    (see_two_events_the_other_way_round, "reordered"),
]


async def test_toll_is_nothing_for_what_was_played_and_counts_what_was_forged(case: Case) -> None:
    clean = toll(case.evidence, case.witnesses)
    assert (clean.lost, clean.repeated, clean.reordered) == (0, 0, 0)
    assert clean.acknowledged > 0
    assert clean.seen > clean.acknowledged
    uncounted = []
    for forge, what in COSTS:
        forged = deepcopy(case)
        forge(forged)
        if not getattr(toll(forged.evidence, forged.witnesses), what):
            uncounted.append((forge.__name__, what))
    assert uncounted == []
