"""Passwords of lobbies: how many may be tried, and how they are typed."""

import unicodedata

import pytest
from argon2 import PasswordHasher

from server.domains.play.lobbies.service import INTO_LOBBY_FROM_NETWORK, OF_PLAYER
from tests.integration.lobbies.hall import Hall, Refused

SESAME = "ouvre-toi, sésame"


async def locked(hall: Hall, password: str = SESAME) -> str:
    hall.clock.stop()
    host = await hall.person("Host")
    lobby = await host.lobby("create", ruleset="el_dorado", password=password)
    return str(lobby["lobby_id"])


async def test_one_player_guesses_a_few_times_and_gets_how_long_to_wait(hall: Hall) -> None:
    lobby_id, eve = await locked(hall), await hall.person("Eve")
    for n in range(int(OF_PLAYER.burst)):
        wrong = await eve.refusal("lobby.join", lobby_id=lobby_id, password=str(n))
        assert wrong == "wrong_password"
    with pytest.raises(Refused) as refused:
        await eve.ask("lobby.join", lobby_id=lobby_id, password="again")
    assert refused.value.code == "rate_limited"
    wait_s = refused.value.reply["wait_s"]
    assert 0 < wait_s <= 60 / OF_PLAYER.per_minute
    hall.clock.ahead_s += wait_s
    assert await eve.lobby("join", lobby_id=lobby_id, password=SESAME)


async def test_players_of_one_network_share_the_guesses_and_others_still_come_in(
    hall: Hall,
) -> None:
    lobby_id = await locked(hall)
    guesses = []
    for n in range(int(INTO_LOBBY_FROM_NETWORK.burst) + 1):
        eve = await hall.person(f"Eve {n}")
        eve.memory.remote = f"2001:db8:0:1::{n:x}"
        guesses.append(await eve.refusal("lobby.join", lobby_id=lobby_id, password="guess"))
    assert guesses == ["wrong_password"] * (len(guesses) - 1) + ["rate_limited"]
    ann = await hall.person("Ann")
    ann.memory.remote = "192.0.2.7"
    assert await ann.lobby("join", lobby_id=lobby_id, password=SESAME)


async def test_lobbies_with_passwords_are_made_at_the_same_pace(hall: Hall) -> None:
    hall.clock.stop()
    eve, outcomes = await hall.person("Eve"), []
    for _ in range(int(OF_PLAYER.burst) + 1):
        try:
            made = await eve.lobby("create", ruleset="el_dorado", password=SESAME)
        except Refused as refused:
            outcomes.append(refused.code)
        else:
            await eve.ask("lobby.leave", lobby_id=made["lobby_id"])
    assert outcomes == ["rate_limited"]
    assert await eve.lobby("create", ruleset="el_dorado")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
async def test_password_is_the_same_in_every_unicode_form(hall: Hall, form: str) -> None:
    lobby_id = await locked(hall, unicodedata.normalize("NFC" if form == "NFD" else "NFD", SESAME))
    ann = await hall.person("Ann")
    typed = unicodedata.normalize(form, SESAME.replace(" ", "\u00a0"))  # type: ignore[arg-type]
    assert await ann.lobby("join", lobby_id=lobby_id, password=typed)


async def test_password_is_as_long_as_it_is_composed_however_it_is_typed(hall: Hall) -> None:
    lobby_id = await locked(hall, "\u1ec7" * 128)
    ann = await hall.person("Ann")
    typed = unicodedata.normalize("NFD", "\u1ec7" * 128)  # 384 characters
    assert await ann.lobby("join", lobby_id=lobby_id, password=typed)
    for long in ("x" * 129, typed + "x", "x" * 513):
        joining = ann.refusal("lobby.join", lobby_id=lobby_id, password=long)
        assert await joining == "invalid_field"


async def test_password_that_was_hashed_as_it_was_typed_still_opens(hall: Hall) -> None:
    lobby_id = await locked(hall)
    typed = unicodedata.normalize("NFD", SESAME)
    async with hall.database.acquire() as connection:
        await connection.execute(
            "UPDATE lobbies SET password_hash = $1 WHERE id = $2", hashed(typed), lobby_id
        )
    ann = await hall.person("Ann")
    assert await ann.refusal("lobby.join", lobby_id=lobby_id, password="other") == "wrong_password"
    assert await ann.lobby("join", lobby_id=lobby_id, password=typed)


def hashed(password: str) -> str:
    """The hash of a password to the letter, as it was stored before."""
    return PasswordHasher().hash(password)
