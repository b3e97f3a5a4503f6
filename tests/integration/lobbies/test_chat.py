"""Talk in a lobby."""

from tests.integration.lobbies.hall import Hall


async def test_members_hear_what_is_said(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at)
    await bob.ask("chat.say", **at, text="  Hello,\nall! ")
    for person in (ann, bob):
        (message,) = person.heard("chat.message")
        assert (message["player_id"], message["display_name"]) == (bob.player_id, "Person 1")
        assert (message["text"], message["lobby_id"]) == ("Hello,\nall!", lobby["lobby_id"])
        assert message["game_id"] is None


async def test_only_members_speak(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("watch", **at)
    assert await bob.refusal("chat.say", **at, text="Hello") == "not_a_member"
    game = {"game_id": lobby["lobby_id"]}
    assert await ann.refusal("chat.say", **game, text="Hello") == "not_seated"
    await ann.ask("lobby.close", **at)
    assert await ann.refusal("chat.say", **at, text="Hello") == "not_a_member"


async def test_bad_messages_are_refused(hall: Hall) -> None:
    ann = await hall.person()
    lobby = await ann.lobby("create", ruleset="el_dorado")
    at = {"lobby_id": lobby["lobby_id"]}
    both = {**at, "game_id": lobby["lobby_id"]}
    assert await ann.refusal("chat.say", text="Hello") == "invalid_field"
    assert await ann.refusal("chat.say", **both, text="Hello") == "invalid_field"
    for text in ("", "  ", "a\u0007b", "a\tb", "a\u0085b", "x" * 501):
        assert await ann.refusal("chat.say", **at, text=text) == "invalid_field"
    assert ann.heard("chat.message") == []


async def test_talking_too_fast_is_refused(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at)
    for n in range(5):
        await ann.ask("chat.say", **at, text=f"{n}")
    assert await ann.refusal("chat.say", **at, text="6") == "rate_limited"
    await bob.ask("chat.say", **at, text="My turn")
    hall.clock.ahead_s = 2
    await ann.ask("chat.say", **at, text="6")
    assert len(bob.heard("chat.message")) == 7
