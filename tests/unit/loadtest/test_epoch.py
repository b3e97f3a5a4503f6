"""What is made of what watchers of a day saw, without a server."""

from collections import Counter

import orjson
import pytest

from loadtest.epochs.actors import (
    ActorCommand,
    find_event_fault,
    generate_slot_claims,
    generate_votes,
    make_slot_code,
)
from loadtest.epochs.latency import CommandTiming, latency_quantiles
from loadtest.epochs.stream_check import (
    DayState,
    DayStream,
    StreamCheck,
    apply_events,
    first_difference,
)
from playhall.errors import ClientError

SLOT = {"slot_index": 0, "code": None, "bot_id": None, "bot": None, "updated_at": None}
DAY = DayState("live", ({**SLOT, "version": 0}, {**SLOT, "slot_index": 1, "version": 0}))


def event(version, **changed):
    return {
        "type": "epoch.event",
        "version": version,
        "event": "slot_claimed",
        "at": f"2026-02-12T00:00:{version:02}.000Z",
        "bot_id": "b",
        "bot": "bot_ada",
        "slot_index": 1,
        "payload": {"code": f"code {version}"},
        **changed,
    }


class Watchers:
    """Some watchers of one stream, and a clock to move."""

    def __init__(self, count=2):
        self.now = 0.0
        self.stream = DayStream(Counter(), now=lambda: self.now)
        self.stream_checks = [StreamCheck(self.stream) for _ in range(count)]
        for stream_check in self.stream_checks:
            stream_check.start_from(DAY, 4)

    def show(self, number, shown):
        frame = orjson.dumps(shown)
        if not self.stream_checks[number].take_if_same(frame):
            self.stream_checks[number].take_event(frame, shown)


def test_what_all_get_in_order_is_no_fault():
    watchers = Watchers()
    for version in (5, 6):
        for number in (0, 1):
            watchers.show(number, event(version))
    assert [stream_check.fault for stream_check in watchers.stream_checks] == [None, None]
    assert [stream_check.version for stream_check in watchers.stream_checks] == [6, 6]


@pytest.mark.parametrize("shown", [[6], [5, 5], [5, 7], [4]], ids=["first", "repeat", "gap", "old"])
def test_wrong_place_is_a_fault(shown):
    watchers = Watchers()
    for version in (5, 6, 7):
        watchers.show(0, event(version))
    for version in shown:
        watchers.show(1, event(version))
    assert watchers.stream_checks[0].fault is None
    assert "was due" in watchers.stream_checks[1].fault


def test_right_place_but_other_words_is_a_fault():
    watchers = Watchers()
    watchers.show(0, event(5))
    watchers.show(1, event(5, bot="bot_bob"))
    assert "not what another watcher got" in watchers.stream_checks[1].fault


def test_state_is_the_picture_and_the_claims_after_it():
    voted = event(6, event="vote_cast", slot_index=None, payload={})
    frozen = event(7, event="phase_changed", slot_index=None, payload={"phase": "freeze"})
    after = apply_events(DAY, [event(5), voted, frozen])
    assert after.phase == "freeze"
    assert after.slots[0] == DAY.slots[0]
    assert (after.slots[1]["code"], after.slots[1]["version"]) == ("code 5", 5)
    assert first_difference(after, after) is None
    assert "slot 1" in first_difference(DAY, after._replace(phase="live"))
    assert "phase" in first_difference(DAY, after)


def test_latency_is_taken_over_all_watchers_of_all_processes():
    near, far = Watchers(), Watchers()
    for watchers, at_s in ((near, 1.010), (far, 1.050)):
        watchers.now = at_s
        for number in (0, 1):
            watchers.show(number, event(5))
    stamps = {5: CommandTiming(sent_s=0.9, heard_s=1.0), 99: CommandTiming(0.9, 1.0)}
    rows = latency_quantiles(stamps, [near.stream.arrivals, far.stream.arrivals])
    assert rows["commit to watcher p50 ms"] == pytest.approx(10, rel=0.1)
    assert rows["commit to watcher max ms"] == pytest.approx(50, rel=0.1)
    assert rows["commit to last watcher p50 ms"] == pytest.approx(50, rel=0.1)
    assert rows["sending to watcher max ms"] == pytest.approx(150, rel=0.1)


def test_no_two_claims_are_the_same():
    slots = [
        {"slot_index": index, "constraints_id": kind}
        for index, kind in enumerate(("drums", "notes", "chords", "text", "unheard of"))
    ]
    script = generate_slot_claims(slots)
    acts = [next(script) for _ in range(5_000)]
    assert len({act.fields["code"] for act in acts}) == len(acts)
    assert [act.fields["slot_index"] for act in acts[:6]] == [0, 1, 2, 3, 4, 0]


@pytest.mark.parametrize("number", [1, 59, 60, 61, 3_599, 3_600, 216_000])
def test_code_is_short_whatever_its_number(number):
    assert 0 < len(make_slot_code("drums", number)) < 280


def test_votes_need_options():
    with pytest.raises(ClientError, match="--voters"):
        next(generate_votes({"targets": [{"type": "bot", "options": []}]}))


def test_act_is_not_another_ones_event():
    act = ActorCommand("epoch.claim", {"slot_index": 1, "code": "code 5"}, {"code": "code 5"})
    assert find_event_fault(act, event(5)) is None
    assert find_event_fault(act, event(6)) is not None
    assert find_event_fault(act, event(5, slot_index=0)) is not None
