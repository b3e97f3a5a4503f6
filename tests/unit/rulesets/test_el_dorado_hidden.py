"""El Dorado: hands stay hidden, whoever looks."""

from server.gamekit.chance import derive_seed
from server.gamekit.conformance.playout import Playout, canonical
from server.gamekit.contract import Viewer
from server.rulesets.el_dorado import RULESET
from tests.unit.rulesets.eldorado_table import bid, card, last, new_game, play, table


def stream(playout: Playout, viewer: Viewer) -> list[bytes]:
    """Give all that a viewer is sent."""
    shown = [canonical(RULESET.redact(event, viewer)) for event in playout.log]
    return [*shown, canonical(RULESET.view(playout.fold.state, viewer))]


def two_tricks_played(*hands: str) -> Playout:
    playout = table(*hands)
    bid(playout, 1, 1, 0)
    play(playout, "sA s3 s4 d5")
    return playout


def test_swapping_hidden_cards_of_two_others_changes_nothing_for_a_third() -> None:
    one = two_tricks_played("sA d5 d6 d7", "s3 c8 cJ h9", "s4 c2 hK c5")
    two = two_tricks_played("sA d5 d6 d7", "s3 c8 cJ hK", "s4 c2 h9 c5")
    assert one.fold.state.hands != two.fold.state.hands
    assert stream(one, 0) == stream(two, 0)
    assert stream(one, None) == stream(two, None)
    assert stream(one, 1) != stream(two, 1)


def test_swap_across_what_a_player_must_follow_shows_in_no_refusal_of_a_third() -> None:
    one = two_tricks_played("sA d5 d6 d7", "s3 d8 cJ h9", "s4 c2 hK c5")
    two = two_tricks_played("sA d5 d6 d7", "s3 c2 cJ h9", "s4 d8 hK c5")
    assert stream(one, 0) == stream(two, 0)


def test_dealt_event_shows_own_hand_and_how_many_the_others_hold() -> None:
    playout = new_game(3, rounds=2)
    dealt = next(event for event in playout.log if event.type == "cards_dealt")
    hands = dealt.payload["hands"]
    counts = {"player-0": 2, "player-1": 2, "player-2": 2}
    assert RULESET.redact(dealt, 1) == {**dealt.payload, "hands": {"player-1": hands["player-1"]}}
    assert RULESET.redact(dealt, None) == {**dealt.payload, "hands": {}}
    assert dealt.payload["counts"] == counts
    assert len(hands) == 3


def test_absent_player_is_dealt_and_shown_nothing() -> None:
    playout = new_game(3, rounds=2)
    playout.presence("player_left", 0)
    while playout.fold.state.round == 1:
        playout.time_out()
    dealt = playout.log[-2]
    shown = RULESET.redact(dealt, 0)
    assert shown is not None
    assert shown["hands"] == {}


def test_event_that_hides_nothing_is_passed_on_itself() -> None:
    playout = new_game(2, rounds=1).play()
    for event in playout.log:
        if event.type != "cards_dealt":
            assert RULESET.redact(event, None) is event.payload


def test_command_number_of_an_event_survives_redaction() -> None:
    dealt = next(event for event in new_game(2).log if event.type == "cards_dealt")
    shown = RULESET.redact(dealt._replace(payload={**dealt.payload, "_cmd": [0, 1]}), 0)
    assert shown is not None
    assert shown["_cmd"] == [0, 1]


def test_round_seeds_are_in_no_event_and_no_view() -> None:
    playout = new_game(2, rounds=3).play()
    secrets = [derive_seed("seed", "round", number).encode() for number in (1, 2, 3)]
    sent = b"".join(part for viewer in playout.viewers for part in stream(playout, viewer))
    assert [secret for secret in secrets if secret in sent] == []


def test_view_shows_the_table_and_only_own_cards() -> None:
    playout = table("sA d5", "s3 c8", "h4 c2", trump="hQ")
    bid(playout, 1, 0, 0)
    play(playout, "sA s3")
    assert playout.view(2) == {
        "seat": 2,
        "phase": "playing",
        "round": 1,
        "rounds": 1,
        "cards": 2,
        "playing": [0, 1, 2],
        "trump": "hearts",
        "trump_card": card("hQ").id,
        "trump_broken": False,
        "leader": 0,
        "turn": 2,
        "counts": [1, 1, 2],
        "bids": [1, 0, 0],
        "tricks": [0, 0, 0],
        "trick": [
            {"seat": 0, "card": "d0:spades:A"},
            {"seat": 1, "card": "d0:spades:3"},
        ],
        "totals": [0, 0, 0],
        "history": [],
        "hand": ["d0:hearts:4", "d0:clubs:2"],
        "legal_moves": [
            {"type": "play_card", "card": "d0:hearts:4"},
            {"type": "play_card", "card": "d0:clubs:2"},
        ],
    }
    assert playout.view(None)["hand"] is None
    assert playout.view(0)["legal_moves"] == []
    play(playout, "h4")
    assert last(playout, "trick_completed")["player_id"] == "player-2"
    assert playout.view(None)["tricks"] == [0, 0, 1]
