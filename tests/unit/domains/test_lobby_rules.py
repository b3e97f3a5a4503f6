"""The rules of lobbies, without a database."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from persistence.games.model import NewPlayer
from persistence.lobbies.model import JoiningPlayer, Lobby, Member
from protocol.errors import (
    Forbidden,
    InvalidField,
    Kicked,
    LobbyClosed,
    LobbyFull,
    LobbyNotFound,
    NotReady,
    NotTheHost,
    TooManyLobbies,
)
from protocol.ids import LobbyId, PlayerId
from protocol.lobbies import BANS_MAX, Role
from server.domains.play.lobbies import rules
from server.domains.play.lobbies.catalog import quick_play_seats, validate_config, validate_seats
from server.domains.play.lobbies.changes import ALPHABET, draw_join_code
from server.domains.play.lobbies.jobs import WAITING_MAX, DisconnectGrace
from server.domains.play.lobbies.rules import may_watch_game, require_visible
from server.rulesets import find_rulesets

AT = datetime(2026, 1, 2, tzinfo=UTC)
ANN, BOB, CEM = (PlayerId(name) for name in ("ann", "bob", "cem"))
RULESETS = find_rulesets()


def player(player_id: PlayerId, seat: int | None, **fields: Any) -> Member:
    role: Role = "spectator" if seat is None else "player"
    member = Member(player_id, player_id.title(), role, seat, ready=False, bot=None)
    return member._replace(**fields)


def lobby(*members: Member, **fields: Any) -> Lobby:
    """A public lobby of four seats; its first member is host."""
    plain = Lobby(
        lobby_id=LobbyId("here"),
        name="Ours",
        mode="server",
        ruleset="el_dorado",
        config={},
        seats=4,
        spectators_max=1,
        is_public=True,
        created_at=AT,
        members=members,
        host_player_id=members[0].player_id if members else None,
    )
    return replace(plain, **fields)


def joiner(player_id: PlayerId, open_lobbies: int = 0) -> JoiningPlayer:
    return JoiningPlayer(player_id, player_id.title(), open_lobbies)


def seats(of: Lobby) -> dict[str, int | None]:
    return {member.player_id: member.seat for member in of.members}


def test_newcomer_takes_the_lowest_free_seat() -> None:
    before = lobby(player(ANN, 0), player(CEM, 2))
    assert seats(rules.join_lobby(before, joiner(BOB), "player")) == {ANN: 0, CEM: 2, BOB: 1}


def test_full_lobby_refuses_join() -> None:
    with pytest.raises(LobbyFull):
        rules.join_lobby(lobby(player(ANN, 0), seats=1), joiner(BOB), "player")


def test_banned_player_is_refused_before_anything_else() -> None:
    before = lobby(player(ANN, 0), seats=1, status="CLOSED", bans=frozenset({BOB}))
    with pytest.raises(Kicked):
        rules.join_lobby(before, joiner(BOB), "player")


def test_limit_of_open_lobbies_is_for_newcomers_of_open_lobbies() -> None:
    before = lobby(player(ANN, 0))
    with pytest.raises(TooManyLobbies):
        rules.join_lobby(before, joiner(BOB, open_lobbies=3), "player")
    assert rules.join_lobby(before, joiner(ANN, open_lobbies=3), "player") is before
    watched = rules.join_lobby(
        replace(before, status="PLAYING"), joiner(BOB, open_lobbies=3), "spectator"
    )
    assert seats(watched) == {ANN: 0, BOB: None}


def test_player_who_joins_as_spectator_gives_up_the_seat_while_the_lobby_is_open() -> None:
    before = lobby(player(ANN, 0), player(BOB, 1, ready=True))
    after = rules.join_lobby(before, joiner(BOB), "spectator")
    assert (seats(after), after.members[1].ready) == ({ANN: 0, BOB: None}, False)
    with pytest.raises(LobbyClosed, match="cannot change role"):
        rules.join_lobby(replace(before, status="PLAYING"), joiner(BOB), "spectator")


def test_host_and_last_player_keep_their_seat() -> None:
    with pytest.raises(InvalidField, match=r"use lobby\.leave"):
        rules.join_lobby(lobby(player(ANN, 0), player(BOB, 1)), joiner(ANN), "spectator")
    quick = lobby(player(ANN, 0), host_player_id=None)
    with pytest.raises(InvalidField, match=r"use lobby\.leave"):
        rules.join_lobby(quick, joiner(ANN), "spectator")


def test_host_role_skips_bots_and_spectators() -> None:
    bot = player(PlayerId("bot"), 1, bot="random")
    before = lobby(player(ANN, 0), bot, player(CEM, None), player(BOB, 3))
    assert rules.leave_lobby(before, ANN).host_player_id == BOB


def test_guest_who_leaves_changes_no_host() -> None:
    before = lobby(player(ANN, 0), player(BOB, 1))
    assert rules.leave_lobby(before, BOB) == lobby(player(ANN, 0))


def test_last_person_who_leaves_closes_the_lobby() -> None:
    bot = player(PlayerId("bot"), 1, bot="random")
    after = rules.leave_lobby(lobby(player(ANN, 0), bot, player(CEM, None), fill_at=AT), ANN)
    assert (after.status, after.fill_at) == ("CLOSED", None)


def test_stranger_learns_nothing_of_a_private_lobby() -> None:
    private = lobby(player(ANN, 0), is_public=False)
    for wish in (rules.leave_lobby, rules.close_lobby, rules.require_all_ready):
        with pytest.raises(LobbyNotFound):
            wish(private, BOB)
    with pytest.raises(LobbyNotFound):
        require_visible(private, None)


@pytest.mark.parametrize(
    ("fields", "stranger", "member", "banned"),
    [
        ({}, True, True, False),
        ({"password_hash": "x"}, False, True, False),
        ({"is_public": False}, False, True, False),
    ],
)
def test_who_may_watch_the_game(
    fields: dict[str, Any], stranger: bool, member: bool, banned: bool
) -> None:
    there = lobby(player(ANN, 0), bans=frozenset({CEM}), **fields)
    may = [may_watch_game(there, who) for who in (None, ANN, CEM)]
    assert may == [stranger, member, banned]


def test_bans_are_bounded() -> None:
    bans = frozenset(PlayerId(str(n)) for n in range(BANS_MAX))
    with pytest.raises(Forbidden):
        rules.kick_member(lobby(player(ANN, 0), player(BOB, 1), bans=bans), ANN, BOB)


def test_bots_have_stable_ids_and_the_smallest_free_number() -> None:
    first = rules.with_bot(lobby(player(ANN, 0)), ANN, "bid_and_duck")
    second = rules.with_bot(first, ANN, "bid_and_duck")
    ids = [str(uuid5(NAMESPACE_URL, f"playhall:bot:el_dorado:bid_and_duck:{n}")) for n in (1, 2)]
    assert [member.player_id for member in second.members[1:]] == ids
    again = rules.with_bot(rules.without_bot(second, ANN, PlayerId(ids[0])), ANN, "bid_and_duck")
    assert seats(again) == {ANN: 0, ids[1]: 2, ids[0]: 1}


def test_free_seats_go_to_bots_in_turn() -> None:
    after = rules.fill_seats_with_bots(lobby(player(ANN, 1)), ["a", "b"])
    assert [(m.bot, m.seat) for m in after.members[1:]] == [("a", 0), ("b", 2), ("a", 3)]
    assert rules.fill_seats_with_bots(after, ["a"]) == after
    alone = lobby(player(ANN, 0))
    assert rules.fill_seats_with_bots(alone, []) == alone


def test_shrinking_moves_players_to_free_seats() -> None:
    before = lobby(player(ANN, 0, ready=True), player(BOB, 3, ready=True), seats=4)
    after = rules.configure_lobby(before, ANN, name=None, config=None, seats=2, is_public=None)
    assert seats(after) == {ANN: 0, BOB: 1}
    assert [member.ready for member in after.members] == [False, False]


def test_configuring_nothing_keeps_everybody_ready() -> None:
    before = lobby(player(ANN, 0, ready=True))
    same = rules.configure_lobby(before, ANN, name="Ours", config=None, seats=4, is_public=True)
    assert same == before


def test_start_waits_for_everybody_but_the_host() -> None:
    before = lobby(player(ANN, 0), player(BOB, 1), player(CEM, None))
    with pytest.raises(NotReady, match="Bob"):
        rules.require_all_ready(before, ANN)
    rules.require_all_ready(rules.with_ready(before, BOB, ready=True), ANN)
    with pytest.raises(NotTheHost):
        rules.require_all_ready(before, BOB)


def test_new_game_has_players_in_seat_order() -> None:
    bot = player(PlayerId("bot"), 0, bot="random")
    game = rules.build_new_game(
        lobby(player(ANN, 3), bot, player(CEM, None), version=7), range(2, 5)
    )
    assert game.players == (NewPlayer(bot.player_id, "random"), NewPlayer(ANN))
    assert (game.lobby_version, game.seats) == (7, 4)


@pytest.mark.parametrize("count", [1, 4])
def test_game_needs_as_many_players_as_the_rules_say(count: int) -> None:
    crowd = [player(PlayerId(str(n)), n) for n in range(count)]
    with pytest.raises(NotReady, match="2 to 3 players"):
        rules.build_new_game(lobby(*crowd), range(2, 4))


def test_started_lobby_cannot_start_again() -> None:
    with pytest.raises(LobbyClosed):
        rules.build_new_game(lobby(player(ANN, 0), status="PLAYING"), range(1, 4))


def test_only_a_silent_open_lobby_is_closed() -> None:
    silent = lobby(player(ANN, 0), silent_s=121.0)
    assert rules.close_if_silent(silent, 120.0).status == "CLOSED"
    for other in (replace(silent, silent_s=119.0), replace(silent, status="PLAYING")):
        assert rules.close_if_silent(other, 120.0) is other


def test_configuration_is_completed_and_checked() -> None:
    el_dorado = RULESETS["el_dorado"]
    complete = {"rounds": 3, "turn_timeout_s": 60.0, "spectator_delay_s": 0.0}
    assert validate_config(el_dorado, {"rounds": 3}) == complete
    with pytest.raises(InvalidField) as refused:
        validate_config(el_dorado, {"rounds": 0})
    assert refused.value.field == "config.rounds"


def test_seats_fit_the_ruleset() -> None:
    el_dorado, relay = RULESETS["el_dorado"], RULESETS["relay"]
    assert validate_seats(el_dorado, None) == 10
    assert validate_seats(relay, 1) == 1
    with pytest.raises(InvalidField, match="2 to 10"):
        validate_seats(el_dorado, 1)
    assert quick_play_seats(el_dorado) == 4
    assert quick_play_seats(RULESETS["four_in_a_row"]) == 2


def test_codes_have_no_letters_that_look_alike() -> None:
    codes = [draw_join_code() for _ in range(200)]
    assert set(map(len, codes)) == {6}
    assert set("".join(codes)) == set(ALPHABET)
    assert not set("01IO") & set(ALPHABET)


def test_time_is_up_in_the_order_of_going() -> None:
    departures = DisconnectGrace(grace_s=30)
    for at, who in enumerate((ANN, BOB, CEM, ANN)):
        departures.disconnected(who, at)
    departures.reconnected(CEM)
    assert list(departures.take_due(30.9)) == []
    assert list(departures.take_due(31)) == [BOB]
    assert list(departures.take_due(33)) == [ANN]


def test_those_who_went_first_make_room() -> None:
    departures = DisconnectGrace(grace_s=30)
    for n in range(WAITING_MAX + 2):
        departures.disconnected(PlayerId(str(n)), 0)
    assert list(departures.take_due(0)) == ["0", "1"]
