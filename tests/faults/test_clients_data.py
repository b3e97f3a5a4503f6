"""25: what a client may put into a frame: refused aloud, or kept as it is, by the log as well."""

import json
import math
import random
from typing import Any

import pytest

from persistence.database import Database
from persistence.games.store import GameStore
from protocol.ids import GameId
from server.domains.play.games.recovery import recover_game
from server.rulesets import find_rulesets
from tests.faults.client_line import Line, lines, new_guests, sit_down
from tests.faults.conftest import Nodes, Rounds
from tests.faults.table import Figures

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

SEED = 25

# JSON for one value in a move; with it the error's code, or None where it is kept.
VALUES = {
    # Numbers: integers of 64 bits are kept exactly, all others as the double that they are.
    "0": None,
    "-0": None,
    "-0.0": None,
    "0.1": None,
    "1.0": None,
    "1e15": None,
    "1e16": None,
    "-1e16": None,
    "123456789012345678e3": None,
    "9007199254740993": None,
    "9223372036854775807": None,
    "-9223372036854775808": None,
    "-9.223372036854775808e18": None,
    "18446744073709551615": None,
    "18446744073709551616": None,
    "1.8446744073709552e19": None,
    "1e22": None,
    "1e-7": None,
    "1e300": None,
    "-1.7976931348623157e308": None,
    "5e-324": None,
    "1e-400": None,
    "1e400": "bad_frame",
    "-1e400": "bad_frame",
    "1" * 10_000: "bad_frame",
    "0." + "1" * 10_000: None,
    "NaN": "bad_frame",
    "Infinity": "bad_frame",
    "-Infinity": "bad_frame",
    "01": "bad_frame",
    "+1": "bad_frame",
    "0x1": "bad_frame",
    # Text: all of Unicode but what the database or UTF-8 cannot hold.
    '""': None,
    r'"\u0001\u001f\u007f\u0080\u2028\u2029\ufeff\ufffe\uffff"': None,
    r'"\"\\\/\b\f\n\r\t"': None,
    '"\N{PILE OF POO}\N{COMBINING ACUTE ACCENT}"': None,
    r'"\ud83d\udca9"': None,
    r'"\\u0000"': None,
    r'"\u0000"': "invalid_field",
    r'{"a\u0000": 1}': "invalid_field",
    r'[[{"deep": ["\u0000"]}]]': "invalid_field",
    r'"\ud800"': "bad_frame",
    r'"\udc00\ud800"': "bad_frame",
    r'{"\ud800": 1}': "bad_frame",
    '"\n"': "bad_frame",
    "'a'": "bad_frame",
    # Structure
    "null": None,
    "[]": None,
    "{}": None,
    '{"": {"": ""}}': None,
    '{"b": 1, "a": 2, "B": 3, "\N{LATIN SMALL LETTER E WITH ACUTE}": 4}': None,
    '{"_cmd": [0, 1], "_v": 7, "player_id": "x", "type": "game_completed"}': None,
    "[" * 31 + "]" * 31: None,
    "[" * 32 + "]" * 32: "bad_frame",
    "[" * 5_000 + "]" * 5_000: "bad_frame",
    "[" * 30_000: "bad_frame",
    '{"a":' * 5_000 + "1" + "}" * 5_000: "bad_frame",
    "[1,]": "bad_frame",
    "": "bad_frame",
    "/**/1": "bad_frame",
    '"' + "x" * 15_000 + '"': None,
    '"' + "x" * 40_000 + '"': "invalid_field",
}


async def test_value_is_refused_aloud_or_kept_as_it_is(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    """A moved value comes back the same at once, and from the log when the server has died."""
    node = nodes("node", serving_dsn)
    guests = await new_guests(node, 2)
    chance = random.Random(SEED)
    drawn = [json.dumps(_draw(chance, 4)) for _ in range(rounds(300, 4_000))]
    async with lines(node, guests[:1]) as [line]:
        game_id = await sit_down([line], "relay")
        await line.ok("game.resume", game_id=game_id)
        for value, code in {**VALUES, **dict.fromkeys(drawn)}.items():
            if code == "bad_frame":
                async with lines(node, guests[1:]) as [other]:
                    await _offer(other, game_id, value, code)
            else:
                await _offer(line, game_id, value, code)
        live = [frame for frame in line.frames if '"game.event"' in frame]
    node.kill()
    node.start()
    async with lines(node, guests[:1]) as [line]:
        await line.ok("game.resume", game_id=game_id)
        assert [frame for frame in line.frames if '"game.event"' in frame][: len(live)] == live
    node.kill()  # so that the log stands still
    await _verify(fresh_dsn, game_id)
    figures.count("odd values kept exactly", len(live))


async def _offer(line: Line, game_id: str, value: str, code: str | None) -> None:
    due = len(line.events)
    await line.say_text(
        f'{{"id":99,"type":"game.act","game_id":"{game_id}","cmd_no":{max(due, 1)},'
        f'"move":{{"v":{value}}}}}'
    )
    while not line.replies:
        await line.read()
    _, reply = line.replies.popitem()
    if code is None:
        assert reply == {"re": 99, "type": "ok", "event_index": due}, (value[:50], reply)
        assert _same(line.events[-1]["payload"]["data"], {"v": _as_doubles(value)}), value[:50]
        return
    assert (reply["type"], reply.get("code")) == ("error", code), (value[:50], reply)
    assert (reply["re"], reply.get("field")) == _ADDRESSED[code]
    assert reply["message"].endswith(".")
    await line.ok("session.ping")  # and nothing has happened before it
    assert len(line.events) == due


# Whom a refusal answers, and the field that it names: a frame that is no JSON has neither.
_ADDRESSED = {"bad_frame": (None, None), "invalid_field": (99, "move")}


def _as_doubles(value: str) -> Any:
    """Read JSON as most of the world does: an integer beyond 64 bits is a double."""

    def integer(digits: str) -> int | float:
        number = int(digits)
        return number if -(2**63) <= number < 2**64 else float(number)

    return json.loads(value, parse_int=integer)


def _same(one: Any, other: Any) -> bool:
    """Compare, numbers by their value."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _draw(chance: random.Random, depth: int) -> Any:
    """Draw some JSON, odd numbers and odd characters above all."""
    kind = chance.randrange(8 if depth else 6)
    match kind:
        case 0:
            return chance.choice([None, True, False])
        case 1:
            return chance.choice([-1, 1]) * chance.getrandbits(chance.randint(1, 63))
        case 2:
            return chance.getrandbits(64)
        case 3:
            return _double(chance)
        case 4:
            return chance.choice([-1, 1]) * 2.0 ** chance.randint(40, 80)
        case 5:
            return _text(chance)
        case 6:
            return [_draw(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {_text(chance): _draw(chance, depth - 1) for _ in range(chance.randrange(4))}


def _double(chance: random.Random) -> float:
    """Draw any finite double, from all of their exponents."""
    return math.ldexp(chance.uniform(-1, 1), chance.randint(-1070, 1023))


def _text(chance: random.Random) -> str:
    lengths, ends = chance.randrange(6), (0x20, 0x80, 0x800, 0xD800, 0x110000)
    drawn = (chance.randrange(1, chance.choice(ends)) for _ in range(lengths))
    return "".join(chr(code) for code in drawn if not 0xD800 <= code < 0xE000)


async def _verify(dsn: str, game_id: str) -> None:
    """Read the log as a recovery does: indexes, chain of hashes, rules."""
    database = await Database.open(dsn, embedded=True, allow_unsafe=True)
    try:
        store = GameStore(database, node="checker")
        game = await store.find(GameId(game_id))
        assert game is not None
        rows = await store.read_log(game.id)  # departures may still be coming in
        recover_game(game, rows[: game.next_event_index], find_rulesets()["relay"])
    finally:
        await database.close()
