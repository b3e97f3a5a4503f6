"""What a client can say wrong: each time a clear refusal, and nothing is lost or changed.

Frames that break the websocket protocol itself are in `tests/integration/gateway/test_abuse`,
odd values inside a move in `tests/faults/test_clients_data`, a resume's index in
`tests/faults/test_clients_resume`.
"""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import jwt
import pytest

from persistence.accounts.store import AccountStore
from persistence.database import Database
from persistence.sealing import Seal, parse_keys
from protocol.ids import new_id
from server.domains.people.accounts.keys import ALGORITHM, TYPE, SigningKeys
from tests.faults.client_line import Guest, Json, Line, lines, new_guests, sit_down
from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.postgres import TEMPLATE, Databases

pytestmark = pytest.mark.xdist_group("bad input")

LOBBIES = ("open", "full", "secret", "private", "closed", "playing", "finished")
GAMES = ("el_dorado", "relay", "over")
ROLES = ("host", "member", "keeper", "stranger", "kicked")


@dataclass
class World:
    """A node, people, and lobbies and games in every state; `ids` names them all."""

    node: Node
    dsn: str
    guests: dict[str, Guest]
    lines: dict[str, Line] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    async def line(self, role: str) -> Line:
        """Open a new line for somebody; the one before is closed, and nobody is ever away.

        Each refusal is asked for on a line of its own, since a line that sends too many bad
        frames is closed.
        """
        older = self.lines.get(role)
        line = await (await Line(self.node.websocket_url).__aenter__()).greet(self.guests[role])
        self.lines[role] = line
        if older is not None:
            # Superseded; on a machine that is slow enough, closed for its silence before that.
            assert (await older.end()).code in (4002, 4003)
        return line

    def named(self, fields: Json) -> Json:
        """Put ids in the place of `@name`s."""
        return {
            key: self.ids[value[1:]] if isinstance(value, str) and value[:1] == "@" else value
            for key, value in fields.items()
        }

    async def fingerprint(self) -> list[Json]:
        """Look at everything that a refused command could have changed."""
        witness = self.lines["keeper"]
        asked = [await witness.ok("lobby.watch", lobby_id=self.ids[name]) for name in LOBBIES]
        asked += [await witness.ok("game.snapshot", game_id=self.ids[name]) for name in GAMES]
        return [{key: value for key, value in reply.items() if key != "re"} for reply in asked]


@pytest.fixture(scope="module")
async def world(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    dsn = databases.create(template=TEMPLATE)
    with Node(tmp_path_factory.mktemp("node"), databases.serving_dsn(dsn)) as node:
        guests = dict(zip(ROLES, await new_guests(node, len(ROLES)), strict=True))
        world = World(node, dsn, guests)
        for role in ROLES:
            await world.line(role)
        await _furnish(world)
        yield world
        for line in world.lines.values():
            await line.socket.close()
    databases.drop(dsn)


async def _furnish(world: World) -> None:
    """Open lobbies and games in every state."""
    ids, (host, member, keeper, _, kicked) = world.ids, world.lines.values()

    async def lobby(name: str, owner: Line, **fields: object) -> Json:
        made: Json = (await owner.ok("lobby.create", name=name, **fields))["lobby"]
        ids[name], ids[f"{name} code"] = made["lobby_id"], made["join_code"]
        return made

    ids["nothing"] = new_id()
    ids |= {role: guest.player_id for role, guest in world.guests.items()}
    ids["token of member"] = world.guests["member"].token
    ids["expired token"] = await _expired(world, world.guests["host"])
    ids["el_dorado"] = await sit_down(
        [host, member], "el_dorado", config={"rounds": 3, "turn_timeout_s": 600}
    )
    ids["relay"] = await sit_down([host, member], "relay")
    ids["over"] = await sit_down([host], "relay")
    for line in (host, member):
        for game in ("el_dorado", "relay"):
            await line.ok("game.resume", game_id=ids[game])
    await host.ok("game.act", game_id=ids["relay"], cmd_no=1, move={"n": 1})
    await host.ok("game.act", game_id=ids["over"], cmd_no=1, move={"type": "end"})
    for name, game in (("playing", "el_dorado"), ("finished", "over")):
        ids[name] = await _lobby_of(host, ids[game])

    await lobby("open", host, ruleset="el_dorado", seats=3)
    await member.ok("lobby.join", lobby_id=ids["open"])
    await kicked.ok("lobby.join", lobby_id=ids["open"])
    await host.ok("lobby.kick", lobby_id=ids["open"], player_id=ids["kicked"])
    await lobby("full", host, ruleset="four_in_a_row")
    await host.ok("lobby.add_bot", lobby_id=ids["full"], bot="random")
    await lobby("secret", keeper, ruleset="relay", password="sesame")
    await lobby("private", keeper, ruleset="relay", is_public=False)
    await lobby("closed", keeper, ruleset="relay")
    await keeper.ok("lobby.close", lobby_id=ids["closed"])


async def _lobby_of(line: Line, game_id: str) -> str:
    """Find the lobby in which a game of one's own began."""
    while True:
        for update in line.updates:
            if update["type"] == "lobby.update" and update["lobby"]["game_id"] == game_id:
                return str(update["lobby_id"])
        await line.read()


# ------------------------------------------------------------------ commands


class Wrong(NamedTuple):
    """Who sends what, and the code and the field of the refusal; `@name` is an id."""

    role: str
    command: str
    fields: Json
    code: str
    field: str | None = None


NEW = {"ruleset": "el_dorado"}
SESSIONS = {
    "a second hello": Wrong("host", "session.hello", {"token": "x"}, "already_greeted"),
    "a ping with something in it": Wrong("host", "session.ping", {"x": 1}, "invalid_field", "x"),
    "a hello without a token": Wrong("host", "session.hello", {}, "invalid_field", "token"),
    "a token that is no text": Wrong(
        "host", "session.refresh", {"token": 7}, "invalid_field", "token"
    ),
    "an endless token": Wrong(
        "host", "session.refresh", {"token": "x" * 4097}, "invalid_field", "token"
    ),
    "a token of nobody": Wrong("host", "session.refresh", {"token": "a.b.c"}, "bad_token"),
    "a token of somebody else": Wrong(
        "host", "session.refresh", {"token": "@token of member"}, "forbidden"
    ),
    "an expired token": Wrong(
        "host", "session.refresh", {"token": "@expired token"}, "token_expired"
    ),
    "an unknown domain": Wrong("host", "castle.storm", {}, "unknown_command"),
    "an unknown command": Wrong("host", "game.win", {"game_id": "@relay"}, "unknown_command"),
    "a command that is a reply": Wrong("host", "ok", {}, "unknown_command"),
}

CREATING: dict[str, tuple[Json, str, str | None]] = {
    "an unknown ruleset": ({"ruleset": "chess"}, "unknown_ruleset", None),
    "a ruleset's name in capitals": ({"ruleset": "El"}, "invalid_field", "ruleset"),
    "no ruleset": ({}, "invalid_field", "ruleset"),
    "an unknown mode": (NEW | {"mode": "udp"}, "invalid_field", "mode"),
    "no seats": (NEW | {"seats": 0}, "invalid_field", "seats"),
    "one seat too few": (NEW | {"seats": 1}, "invalid_field", "seats"),
    "one seat too many": (NEW | {"seats": 11}, "invalid_field", "seats"),
    "seats as text": (NEW | {"seats": "4"}, "invalid_field", "seats"),
    "seats as a fraction": (NEW | {"seats": 4.5}, "invalid_field", "seats"),
    "seats as a bool": (NEW | {"seats": True}, "invalid_field", "seats"),
    "an empty name": (NEW | {"name": " "}, "invalid_field", "name"),
    "a long name": (NEW | {"name": "x" * 65}, "invalid_field", "name"),
    "a name of two lines": (NEW | {"name": "a\nb"}, "invalid_field", "name"),
    "a name with a NUL": (NEW | {"name": "a\0b"}, "invalid_field", "name"),
    "an empty password": (NEW | {"password": ""}, "invalid_field", "password"),
    "a long password": (NEW | {"password": "x" * 129}, "invalid_field", "password"),
    "yes for true": (NEW | {"is_public": "yes"}, "invalid_field", "is_public"),
    "an unknown option": (NEW | {"config": {"x": 1}}, "invalid_field", "config.x"),
    "rounds as text": (NEW | {"config": {"rounds": "3"}}, "invalid_field", "config.rounds"),
    "too many rounds": (NEW | {"config": {"rounds": 11}}, "invalid_field", "config.rounds"),
    "options in a list": (NEW | {"config": []}, "invalid_field", "config"),
    "a field of another command": (NEW | {"role": "player"}, "invalid_field", "role"),
}

LOBBY = {
    "joins nothing": Wrong("stranger", "lobby.join", {}, "invalid_field", "lobby_id"),
    "joins twice": Wrong(
        "stranger",
        "lobby.join",
        {"lobby_id": "@open", "code": "@open code"},
        "invalid_field",
        "lobby_id",
    ),
    "joins what is not there": Wrong(
        "stranger", "lobby.join", {"lobby_id": "@nothing"}, "lobby_not_found"
    ),
    "joins what is no id": Wrong(
        "stranger", "lobby.join", {"lobby_id": "1"}, "invalid_field", "lobby_id"
    ),
    "joins by a code of nothing": Wrong(
        "stranger", "lobby.join", {"code": "222222"}, "lobby_not_found"
    ),
    "joins by what is no code": Wrong(
        "stranger", "lobby.join", {"code": "O0O0O0"}, "invalid_field", "code"
    ),
    "joins as a king": Wrong(
        "stranger",
        "lobby.join",
        {"lobby_id": "@open", "role": "king"},
        "invalid_field",
        "role",
    ),
    "joins a full lobby": Wrong("stranger", "lobby.join", {"lobby_id": "@full"}, "lobby_full"),
    "joins a full lobby by its code": Wrong(
        "stranger", "lobby.join", {"code": "@full code"}, "lobby_full"
    ),
    "joins a closed lobby": Wrong(
        "stranger", "lobby.join", {"lobby_id": "@closed"}, "lobby_closed"
    ),
    "joins a game that runs": Wrong(
        "stranger", "lobby.join", {"lobby_id": "@playing"}, "lobby_closed"
    ),
    "joins a game that is over": Wrong(
        "stranger", "lobby.join", {"lobby_id": "@finished"}, "lobby_closed"
    ),
    "joins a private lobby by its id": Wrong(
        "stranger", "lobby.join", {"lobby_id": "@private"}, "lobby_not_found"
    ),
    "watches a private lobby": Wrong(
        "stranger", "lobby.watch", {"lobby_id": "@private"}, "lobby_not_found"
    ),
    "forgets the password": Wrong(
        "stranger", "lobby.join", {"lobby_id": "@secret"}, "wrong_password"
    ),
    "has a wrong password": Wrong(
        "stranger",
        "lobby.join",
        {"lobby_id": "@secret", "password": "Sesame"},
        "wrong_password",
    ),
    "has a wrong password for the code": Wrong(
        "stranger",
        "lobby.join",
        {"code": "@secret code", "password": "sesame "},
        "wrong_password",
    ),
    "comes back after a kick": Wrong("kicked", "lobby.join", {"lobby_id": "@open"}, "kicked"),
    "looks on after a kick": Wrong(
        "kicked", "lobby.join", {"code": "@open code", "role": "spectator"}, "kicked"
    ),
    "is ready where they are not": Wrong(
        "stranger", "lobby.ready", {"lobby_id": "@open"}, "not_a_member"
    ),
    "leaves where they are not": Wrong(
        "stranger", "lobby.leave", {"lobby_id": "@open"}, "not_a_member"
    ),
    "leaves a game by its lobby": Wrong(
        "member", "lobby.leave", {"lobby_id": "@playing"}, "lobby_closed"
    ),
    "is ready when it is too late": Wrong(
        "member", "lobby.ready", {"lobby_id": "@playing"}, "lobby_closed"
    ),
    "starts as a member": Wrong("member", "lobby.start", {"lobby_id": "@open"}, "not_the_host"),
    "starts as a stranger": Wrong("stranger", "lobby.start", {"lobby_id": "@open"}, "not_a_member"),
    "starts before others are ready": Wrong(
        "host", "lobby.start", {"lobby_id": "@open"}, "not_ready"
    ),
    "starts twice": Wrong("host", "lobby.start", {"lobby_id": "@playing"}, "lobby_closed"),
    "starts what is closed": Wrong(
        "keeper", "lobby.start", {"lobby_id": "@closed"}, "lobby_closed"
    ),
    "closes as a member": Wrong("member", "lobby.close", {"lobby_id": "@open"}, "not_the_host"),
    "closes what runs": Wrong("host", "lobby.close", {"lobby_id": "@playing"}, "lobby_closed"),
    "closes twice": Wrong("keeper", "lobby.close", {"lobby_id": "@closed"}, "lobby_closed"),
    "configures as a member": Wrong(
        "member", "lobby.configure", {"lobby_id": "@open", "seats": 4}, "not_the_host"
    ),
    "takes seats from under people": Wrong(
        "host", "lobby.configure", {"lobby_id": "@full", "seats": 1}, "invalid_field", "seats"
    ),
    "configures what the rules do not have": Wrong(
        "host",
        "lobby.configure",
        {"lobby_id": "@open", "config": {"rounds": 0}},
        "invalid_field",
        "config.rounds",
    ),
    "kicks themselves": Wrong(
        "host",
        "lobby.kick",
        {"lobby_id": "@open", "player_id": "@host"},
        "invalid_field",
        "player_id",
    ),
    "kicks nobody": Wrong(
        "host", "lobby.kick", {"lobby_id": "@open", "player_id": "@nothing"}, "not_a_member"
    ),
    "kicks as a member": Wrong(
        "member", "lobby.kick", {"lobby_id": "@open", "player_id": "@host"}, "not_the_host"
    ),
    "kicks a player from a game": Wrong(
        "host",
        "lobby.kick",
        {"lobby_id": "@playing", "player_id": "@member"},
        "lobby_closed",
    ),
    "seats an unknown bot": Wrong(
        "host", "lobby.add_bot", {"lobby_id": "@open", "bot": "deep_thought"}, "unknown_bot"
    ),
    "seats what is no bot": Wrong(
        "host", "lobby.add_bot", {"lobby_id": "@open", "bot": "Deep"}, "invalid_field", "bot"
    ),
    "seats a bot where all is full": Wrong(
        "host", "lobby.add_bot", {"lobby_id": "@full", "bot": "random"}, "lobby_full"
    ),
    "removes a person as a bot": Wrong(
        "host",
        "lobby.remove_bot",
        {"lobby_id": "@open", "player_id": "@member"},
        "unknown_bot",
    ),
    "asks for no lobbies": Wrong("host", "lobby.list", {"limit": 0}, "invalid_field", "limit"),
    "asks for all lobbies": Wrong("host", "lobby.list", {"limit": 101}, "invalid_field", "limit"),
    "makes a cursor up": Wrong(
        "host", "lobby.list", {"cursor": "page2"}, "invalid_field", "cursor"
    ),
    "plays quickly what is not there": Wrong(
        "stranger", "lobby.quick_play", {"ruleset": "chess"}, "unknown_ruleset"
    ),
    "talks where they are not": Wrong(
        "stranger", "chat.say", {"lobby_id": "@open", "text": "hi"}, "not_a_member"
    ),
    "talks too long": Wrong(
        "host", "chat.say", {"lobby_id": "@open", "text": "x" * 501}, "invalid_field", "text"
    ),
    "talks to nobody": Wrong("host", "chat.say", {"text": "hi"}, "invalid_field", "lobby_id"),
}


def act(game: str, cmd_no: object, **move: object) -> Json:
    return {"game_id": game, "cmd_no": cmd_no, "move": move}


GAME = {
    "acts in nothing": Wrong("host", "game.act", act("@nothing", 1), "game_not_found"),
    "acts in what is no game": Wrong(
        "host", "game.act", act("relay", 1), "invalid_field", "game_id"
    ),
    "acts without a seat": Wrong("stranger", "game.act", act("@relay", 1), "not_seated"),
    "acts as number 0": Wrong("host", "game.act", act("@relay", 0), "invalid_field", "cmd_no"),
    "acts as number '2'": Wrong("host", "game.act", act("@relay", "2"), "invalid_field", "cmd_no"),
    "acts as number true": Wrong(
        "host", "game.act", act("@relay", True), "invalid_field", "cmd_no"
    ),
    "acts as number 2^53": Wrong(
        "host", "game.act", act("@relay", 2**53), "invalid_field", "cmd_no"
    ),
    "skips a number": Wrong("host", "game.act", act("@relay", 3), "cmd_no_gap"),
    "acts without a move": Wrong(
        "host", "game.act", {"game_id": "@relay", "cmd_no": 2}, "invalid_field", "move"
    ),
    "acts with a move in a list": Wrong(
        "host",
        "game.act",
        {"game_id": "@relay", "cmd_no": 2, "move": [1]},
        "invalid_field",
        "move",
    ),
    "acts for another seat": Wrong(
        "host",
        "game.act",
        act("@relay", 2) | {"seat": 1},
        "invalid_field",
        "seat",
    ),
    "acts for another player": Wrong(
        "host",
        "game.act",
        act("@relay", 2) | {"player_id": "@member"},
        "invalid_field",
        "player_id",
    ),
    "acts too much": Wrong(
        "host", "game.act", act("@relay", 2, text="x" * 33_000), "invalid_field", "move"
    ),
    "acts when it is over": Wrong("host", "game.act", act("@over", 2), "game_over"),
    "resumes nothing": Wrong("host", "game.resume", {"game_id": "@nothing"}, "game_not_found"),
    "resumes without a seat": Wrong("stranger", "game.resume", {"game_id": "@relay"}, "not_seated"),
    "watches from a seat": Wrong("host", "game.watch", {"game_id": "@relay"}, "not_seated"),
    "watches the future": Wrong(
        "stranger",
        "game.watch",
        {"game_id": "@relay", "delay_s": -1},
        "invalid_field",
        "delay_s",
    ),
    "watches tomorrow": Wrong(
        "stranger",
        "game.watch",
        {"game_id": "@relay", "delay_s": 3601},
        "invalid_field",
        "delay_s",
    ),
    "stops watching what they do not": Wrong(
        "stranger", "game.unwatch", {"game_id": "@relay"}, "game_not_found"
    ),
    "leaves without a seat": Wrong("stranger", "game.leave", {"game_id": "@relay"}, "not_seated"),
    "leaves when it is over": Wrong("host", "game.leave", {"game_id": "@over"}, "game_over"),
    "asks for a snapshot of nothing": Wrong(
        "host", "game.snapshot", {"game_id": "@nothing"}, "game_not_found"
    ),
}

COMMANDS = {
    **SESSIONS,
    **{
        f"creates with {name}": Wrong("stranger", "lobby.create", *wrong)
        for name, wrong in CREATING.items()
    },
    **LOBBY,
    **GAME,
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_wrong_command_is_refused_and_nothing_changes(world: World, name: str) -> None:
    wrong = COMMANDS[name]
    before = await world.fingerprint()
    line = await world.line(wrong.role)
    refused = await line.call(wrong.command, **world.named(wrong.fields))
    assert refused["type"] == "error"
    assert (refused["code"], refused.get("field")) == (wrong.code, wrong.field)
    assert refused["message"].endswith(".")
    assert refused["retry"] is False
    await line.ok("session.ping")
    assert await world.fingerprint() == before


# ------------------------------------------------------------------ moves that the rules refuse


async def test_refused_moves_are_answered_logged_and_leave_the_game_as_it_was(world: World) -> None:
    """A refused move uses up its number; sent again, it gets the same refusal again."""
    game_id = world.ids["el_dorado"]
    first, second = both = [await world.line(role) for role in ("host", "member")]
    start = [await line.ok("game.snapshot", game_id=game_id) for line in both]
    card = start[0]["view"]["hand"][0]
    theirs = start[1]["view"]["hand"][0]
    refusals = [
        (second, {"type": "bid", "bid": 1}, "not_your_turn"),
        (first, {"type": "play_card", "card": card}, "invalid_phase"),
        (first, {"type": "bid", "bid": 4}, "invalid_bid"),
        (first, {"type": "bid", "bid": -1}, "invalid_bid"),
        (first, {"type": "bid", "bid": True}, "unknown_move"),
        (first, {"type": "bid", "bid": "1"}, "unknown_move"),
        (first, {"type": "bid", "bid": 1, "seat": 1}, "unknown_move"),
        (first, {"type": "bid"}, "unknown_move"),
        (first, {"type": "fold"}, "unknown_move"),
        (first, {}, "unknown_move"),
        (first, {"type": "play_card", "card": "d0:spades:1"}, "unknown_move"),
    ]
    numbers = dict.fromkeys(both, 0)
    head = start[0]["head"]
    for line, move, code in refusals:
        numbers[line] += 1
        head += 1
        asked = {"game_id": game_id, "cmd_no": numbers[line], "move": move}
        refused = await line.call("game.act", **asked)
        assert (refused["code"], refused["event_index"]) == (code, head), (move, refused)
        assert refused["message"].endswith(".")
        again = await line.call("game.act", **asked)
        assert {**again, "re": refused["re"]} == refused
    for line, before in zip(both, start, strict=True):
        after = await line.ok("game.snapshot", game_id=game_id)
        assert after["head"] == head
        assert (after["view"], after["turn"]) == (before["view"], before["turn"])

    for line in both:
        numbers[line] += 1
        bid = {"type": "bid", "bid": 0}
        await line.ok("game.act", game_id=game_id, cmd_no=numbers[line], move=bid)
    numbers[first] += 1
    played = {"type": "play_card", "card": theirs}
    refused = await first.call("game.act", game_id=game_id, cmd_no=numbers[first], move=played)
    assert refused["code"] == "card_not_in_hand"
    log = await first.ok("game.resume", game_id=game_id)
    logged = [event for event in first.events if event["event"] == "invalid_action"]
    assert len(logged) == len(refusals) + 1
    assert log["cmd_no"] == numbers[first]


async def test_number_that_was_used_gets_its_first_answer_whatever_it_asks(world: World) -> None:
    line = await world.line("host")
    relay = {"game_id": world.ids["relay"], "cmd_no": 1}
    assert (await line.ok("game.act", **relay, move={"n": 2}))["event_index"] == 1
    over = {"game_id": world.ids["over"], "cmd_no": 1}
    assert (await line.ok("game.act", **over, move={"n": 2}))["event_index"] == 1
    await line.ok("game.resume", game_id=world.ids["relay"])
    assert [e["payload"]["data"] for e in line.events if e["event"] == "relayed"] == [{"n": 1}]


# ------------------------------------------------------------------ frames


FRAMES = {
    "nothing": ("", "bad_frame", None),
    "no JSON": ("hello", "bad_frame", None),
    "half an object": ('{"id":5,"type":"session.ping"', "bad_frame", None),
    "two objects": (
        '{"id":5,"type":"session.ping"}{"id":6,"type":"session.ping"}',
        "bad_frame",
        None,
    ),
    "a list": ('[{"id":5,"type":"session.ping"}]', "bad_frame", None),
    "a number": ("5", "bad_frame", None),
    "null": ("null", "bad_frame", None),
    "a text": ('"session.ping"', "bad_frame", None),
    "no id": ('{"type":"session.ping"}', "invalid_field", "id"),
    "an id that is text": ('{"id":"5","type":"session.ping"}', "invalid_field", "id"),
    "an id below 0": ('{"id":-1,"type":"session.ping"}', "invalid_field", "id"),
    "an id that is a fraction": ('{"id":5.5,"type":"session.ping"}', "invalid_field", "id"),
    "an id that is true": ('{"id":true,"type":"session.ping"}', "invalid_field", "id"),
    "an id beyond 2^53": ('{"id":9007199254740992,"type":"session.ping"}', "invalid_field", "id"),
    "no type": ('{"id":5}', "unknown_command", None),
    "a type that is a number": ('{"id":5,"type":7}', "unknown_command", None),
    "a type that is a list": ('{"id":5,"type":["session.ping"]}', "unknown_command", None),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_wrong_frame_is_refused_and_the_next_is_answered(world: World, name: str) -> None:
    text, code, wrong_field = FRAMES[name]
    line = await world.line("stranger")
    await line.say_text(text)
    refused = await line.reply(5 if code == "unknown_command" else None)
    assert (refused["code"], refused.get("field"), refused["retry"]) == (code, wrong_field, False)
    assert refused["message"].endswith(".")
    await line.ok("session.ping")


async def test_line_that_sends_nothing_but_nonsense_is_closed(world: World) -> None:
    async with lines(world.node, await new_guests(world.node, 1)) as [line]:
        for _ in range(20):
            await line.say_text("nonsense")
            assert (await line.reply(None))["code"] == "bad_frame"
        closed = await line.end()
        assert (closed.code, closed.reason) == (4102, "protocol_error")


async def test_largest_frame_is_read_and_a_larger_one_is_not(world: World) -> None:
    async with lines(world.node, await new_guests(world.node, 1)) as [line]:
        rest = len(json.dumps({"id": 5, "type": "session.refresh", "token": ""}))
        whole = json.dumps({"id": 5, "type": "session.refresh", "token": "x" * (65_536 - rest)})
        await line.say_text(whole)
        assert (await line.reply(5))["field"] == "token"
        await line.say_text(whole + " ")
        assert (await line.end()).code == 1009


# ------------------------------------------------------------------ before the hello


BEFORE_HELLO: dict[str, Json] = {
    "session.ping": {},
    "session.refresh": {"token": "x"},
    "session.logout": {},
    "lobby.list": {},
    "lobby.create": {"ruleset": "relay"},
    "lobby.join": {"lobby_id": "@open"},
    "lobby.kick": {"lobby_id": "@open", "player_id": "@member"},
    "game.act": {"game_id": "@relay", "cmd_no": 2, "move": {}},
    "game.resume": {"game_id": "@relay"},
    "game.watch": {"game_id": "@relay"},
    "game.snapshot": {"game_id": "@relay"},
    "chat.say": {"lobby_id": "@open", "text": "hi"},
}


async def test_nothing_is_done_before_a_hello(world: World) -> None:
    before = await world.fingerprint()
    async with Line(world.node.websocket_url) as line:
        for command, fields in BEFORE_HELLO.items():
            refused = await line.call(command, **world.named(fields))
            assert refused["code"] == "hello_required", command
    assert await world.fingerprint() == before


BAD_TOKENS: dict[str, Callable[[World], str]] = {
    "nonsense": lambda world: "nonsense",
    "a refresh token": lambda world: world.guests["stranger"].session["refresh_token"],
    "an altered token": lambda world: world.guests["stranger"].token[:-8] + "A" * 8,
}


@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_bad_token_is_refused_and_the_line_closed(world: World, name: str) -> None:
    async with Line(world.node.websocket_url) as line:
        refused = await line.call("session.hello", token=BAD_TOKENS[name](world))
        assert (refused["code"], refused["retry"]) == ("bad_token", False)
        closed = await line.end()
        assert (closed.code, closed.reason) == (4100, "bad_token")


async def test_expired_token_is_refused_and_a_good_one_taken_after_it(world: World) -> None:
    async with Line(world.node.websocket_url) as line:
        refused = await line.call("session.hello", token=world.ids["expired token"])
        assert (refused["code"], refused["retry"]) == ("token_expired", False)
        [guest] = await new_guests(world.node, 1)
        assert (await line.greet(guest)).welcome["player_id"] == guest.player_id


async def test_token_of_a_session_that_was_ended_is_refused(world: World) -> None:
    [guest] = await new_guests(world.node, 1)
    async with Line(world.node.websocket_url) as line:
        await line.greet(guest)
        await line.ok("session.logout")
        assert (await line.end()).code == 4103
    async with Line(world.node.websocket_url) as line:
        refused = await line.call("session.hello", token=guest.token)
        assert refused["code"] == "bad_token"


async def _expired(world: World, guest: Guest) -> str:
    """Sign what somebody's token says once more, but for a time that is over."""
    database = await Database.open(world.dsn, embedded=True, allow_unsafe=True)
    try:
        seal = Seal(lambda: parse_keys(SECRET_KEYS))
        keys = SigningKeys(AccountStore(database), now=lambda: 0.0, seal=seal)
        await keys.start()
    finally:
        await database.close()
    claims = jwt.decode(guest.token, options={"verify_signature": False})
    claims["exp"] = datetime.now(UTC) - timedelta(minutes=5)
    claims["iat"] = datetime.now(UTC) - timedelta(minutes=15)
    headers = {"kid": keys.newest.kid, "typ": TYPE}
    return jwt.encode(claims, keys.newest.private, algorithm=ALGORITHM, headers=headers)
