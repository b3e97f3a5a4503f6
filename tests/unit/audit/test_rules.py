"""A forger who rehashes the whole chain is still found out by the rules."""

from collections.abc import Callable, Sequence

import pytest

from server.gamekit.conformance.playout import Playout, RealtimePlayout
from server.gamekit.contract import Event, Ruleset
from server.gamekit.realtime import RealtimeRuleset
from server.gamekit.table import CMD, INVALID_ACTION, SeatedPlayer, invalid_action_event
from tests.unit.audit.forgery import RULESETS, chained, copied, el_dorado, findings, forged

REALTIME = {name: each for name, each in RULESETS.items() if isinstance(each, RealtimeRuleset)}


@pytest.fixture(scope="module")
def log() -> Sequence[Event]:
    """A finished game of bots."""
    return el_dorado("random", "bid_and_duck", "random").start().play().log


def index_of(log: Sequence[Event], kind: str, nth: int = 0) -> int:
    return [index for index, event in enumerate(log) if event.type == kind][nth]


def test_untouched_log_holds(log: Sequence[Event]) -> None:
    found = findings(chained(log))
    assert {name: finding.holds for name, finding in found.items()} == dict.fromkeys(
        ("order", "chain", "seed", "rules", "end"), True
    )


@pytest.mark.parametrize("name", sorted(set(RULESETS) - set(REALTIME)))
def test_untouched_log_of_every_game_holds(name: str) -> None:
    playout = Playout(RULESETS[name], RULESETS[name].seats[-1], "all").start()
    if playout.to_act() is None:
        playout.presence("player_disconnected", 1)
        for seat in range(len(playout.origin.players)):
            playout.presence("player_left", seat)
    assert findings(chained(playout.play().log))["rules"].holds


@pytest.mark.parametrize("name", sorted(REALTIME))
def test_untouched_log_of_every_real_time_game_holds(name: str) -> None:
    session = RealtimePlayout(REALTIME[name], 2, "all").start().play()
    assert findings(chained(session.log))["rules"].holds


@pytest.mark.parametrize(
    ("forge", "wrong"),
    [
        (lambda tick: tick.payload["inputs"].append([0, 7, {"type": "dash"}]), "where 1 is next"),
        (lambda tick: tick.payload["inputs"].append([0, None, {"type": "fly"}]), "refuse"),
        (lambda tick: tick.payload.update(_tick=0), "tick"),
        (lambda tick: tick.payload.update(_tick=10**9), "tick"),
    ],
    ids=["number skipped", "no input", "back in time", "far ahead"],
)
def test_tick_that_no_server_wrote_is_found(forge: Callable[[Event], None], wrong: str) -> None:
    lie = copied(RealtimePlayout(REALTIME["arena"], 2, "forged").start().play().log)
    forge(lie[index_of(lie, "tick", 1)])
    assert wrong in forged(lie)


def test_cards_dealt_otherwise_than_the_seed_says_are_found(log: Sequence[Event]) -> None:
    lie = copied(log)
    for nth in (0, 1):
        dealt = index_of(lie, "cards_dealt", nth)
        hands = list(lie[dealt].payload["hands"].values())
        hands[0][0], hands[1][0] = hands[1][0], hands[0][0]
        assert (
            forged(lie) == f"event {dealt} (cards_dealt) is not what the rules give: hands differs"
        )
        lie = copied(log)


def test_another_trump_is_found(log: Sequence[Event]) -> None:
    lie = copied(log)
    turned = index_of(lie, "trump_revealed")
    lie[turned].payload["card"] = lie[turned - 1].payload["hands"]["player-0"][0]
    assert forged(lie).startswith(
        f"event {turned} (trump_revealed) is not what the rules give: card"
    )


def test_trick_given_to_another_is_found(log: Sequence[Event]) -> None:
    lie = copied(log)
    taken = index_of(lie, "trick_completed")
    winner = lie[taken].payload["player_id"]
    lie[taken].payload["player_id"] = next(p for p in ("player-0", "player-1") if p != winner)
    assert forged(lie).endswith("is not what the rules give: player_id differs")


def test_illegal_move_is_found(log: Sequence[Event]) -> None:
    lie = copied(log)
    lie[index_of(lie, "player_bid")].payload["bid"] = 9
    assert "the rules refuse this move: Bid from 0 to 2" in forged(lie)


@pytest.mark.parametrize("kind", ["bidding_completed", "trick_completed", "round_scored"])
def test_consequence_left_out_is_found(log: Sequence[Event], kind: str) -> None:
    lie = copied(log)
    gone = index_of(lie, kind)
    del lie[gone]
    assert f"is not what the rules give, which is {kind}" in forged(lie)


def test_consequence_without_a_cause_is_found(log: Sequence[Event]) -> None:
    lie = copied(log)
    bid = index_of(lie, "player_bid")
    lie.insert(bid, Event("trick_started", {"trick": 1, "player_id": "player-0", "_v": 1}))
    assert forged(lie) == f"event {bid} (trick_started) comes of no move"


def test_other_final_scores_are_found(log: Sequence[Event]) -> None:
    lie = copied(log)
    lie[-1].payload["final_scores"]["player-0"] += 1
    assert forged(lie).endswith("is not what the rules give: final_scores differs")


def test_event_after_the_end_is_found(log: Sequence[Event]) -> None:
    lie = [*copied(log), copied(log)[-1]]
    assert forged(lie) == f"event {len(log)} (game_completed) comes after the end of the game"


def test_game_that_is_ended_early_is_found(log: Sequence[Event]) -> None:
    lie = copied(log)
    early = index_of(lie, "round_scored")
    del lie[early + 1 : -1]
    assert "is not what the rules give, which is round_started" in forged(lie)


@pytest.mark.parametrize("seat", [0, -1, True])
def test_presence_in_a_seat_of_somebody_else_is_found(log: Sequence[Event], seat: int) -> None:
    lie = copied(log)
    left = {"seat": seat, "player_id": "player-2", "_v": 1}
    lie.insert(index_of(lie, "player_bid"), Event("player_disconnected", left))
    assert forged(lie).endswith("is not what the rules give: seat differs")


def test_payload_that_no_rules_wrote_is_found(log: Sequence[Event]) -> None:
    lie = copied(log)
    bid = index_of(lie, "player_bid")
    del lie[bid].payload["bid"]
    assert forged(lie).startswith(f"event {bid} (player_bid) cannot be decided again: KeyError")


def test_reseated_players_are_found(log: Sequence[Event]) -> None:
    lie = copied(log)
    del lie[0].payload["players"][0]["bot"]
    assert forged(lie) == "event 0 does not say who sits where: KeyError('bot')"


# ------------------------------------------------------------------ people and their commands


def person_and_bot() -> Playout:
    """A table where seat 0 is a person: what they do bears the number of their command."""
    playout = el_dorado("random", "random")
    first, second = playout.origin.players
    playout.origin = playout.origin._replace(players=(SeatedPlayer(first.player_id), second))
    playout.fold = type(playout.fold)(playout.origin)
    return playout.start()


def commanded(playout: Playout, cmd_no: int, *, bid: int = 1) -> int:
    """Bid as the person in seat 0; returns the index."""
    state, ruleset = playout.fold.state, playout.ruleset
    events = ruleset.decide(state, 0, ruleset.parse({"type": "bid", "bid": bid}))
    events[0].payload[CMD] = [0, cmd_no]
    index = playout.fold.next_index
    playout.apply(events)
    return index


def timed_out(playout: Playout) -> Playout:
    """Let the server play for the person, and the bot for itself, to the end."""
    while (seat := playout.to_act()) is not None:
        if seat:
            playout.act(seat, playout.bot_move(seat))
        else:
            playout.time_out()
    return playout


def test_commands_misplays_and_moves_for_the_absent_hold() -> None:
    playout = person_and_bot()
    refused = invalid_action_event(playout.fold.table, 0, "not_your_turn", "Wait.")
    refused.payload[CMD] = [0, 1]
    playout.apply([refused])
    commanded(playout, 2)
    assert findings(chained(timed_out(playout).log))["rules"].holds


def test_command_number_that_skips_one_is_found() -> None:
    playout = person_and_bot()
    index = commanded(playout, 2)
    assert forged(timed_out(playout).log) == (
        f"event {index} (player_bid) names command [0, 2], where [0, 1] comes next"
    )


def test_move_that_a_person_never_sent_is_found() -> None:
    playout = person_and_bot()
    index = commanded(playout, 1, bid=2)
    del playout.log[index].payload[CMD]
    lie = timed_out(playout).log
    assert forged(lie) == f"event {index} (player_bid) is not what the rules give: bid differs"


def test_misplay_that_nobody_sent_is_found() -> None:
    playout = person_and_bot()
    playout.apply([invalid_action_event(playout.fold.table, 0, "not_your_turn", "Wait.")])
    assert f"({INVALID_ACTION}) cannot be decided again" in forged(timed_out(playout).log)


# ------------------------------------------------------------------ what cannot be checked


def test_rules_that_do_not_derive_their_moves_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    playout = Playout(RULESETS["four_in_a_row"], 2, "quiet").start().play()
    monkeypatch.setattr(type(playout.ruleset), "move_of", Ruleset.move_of)
    found = findings(chained(playout.log))["rules"]
    assert found.holds
    assert "does not report its moves" in found.sentence
    playout.log[-1].payload["winners"] = []
    assert forged(playout.log).endswith("is not what the rules give: winners differs")


def test_unfinished_log_alone_says_what_it_cannot_check() -> None:
    found = findings(chained(el_dorado().start().log))
    assert (found["chain"].holds, found["seed"].holds, found["rules"].holds) == (True, None, None)
    assert "the seed is revealed when the game ends" in found["rules"].sentence


def test_unknown_game_does_not_pass(log: Sequence[Event]) -> None:
    lie = copied(log)
    lie[0].payload["ruleset_version"] = 99
    assert forged(lie) == (
        "this program has no ruleset el_dorado of version 99; "
        "set PLAYHALL_RULESETS_PATH to the folder that contains it"
    )
