"""Replays: built from the log of finished games, and taken from the hosts of peers."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any

import orjson
import pytest

from protocol.files import REPLAY_JSON_BYTES_MAX
from protocol.ids import new_id
from server.domains.play.games.live_game import LiveGame
from server.gamekit.contract import Event, Setup
from server.ops.audit.log_files import read_file
from server.ops.audit.verify import verify_game
from server.rulesets import find_rulesets
from tests.integration.audit.conftest import open_room, play_and_leave
from tests.integration.files.conftest import Json, Store
from tests.integration.games.conftest import act

PEERS = {"initial_state": {"board": [0] * 9}, "commands": [{"move": 4}, {"move": 0}]}


async def _finish_game(store: Store, *, is_public: bool = True) -> str:
    """Let bots play a game to its end; give its match."""
    async with open_room(store.database) as room:
        host = await room.game("el_dorado", ["random"] * 3, rounds=1)
        await room.completed(host.game_id)
        update = "UPDATE games SET is_public = $2 WHERE id = $1"
        await store.run(update, host.game_id, is_public)
    (row,) = await store.run("SELECT id FROM matches WHERE game_id = $1", host.game_id)
    return str(row["id"])


async def _url(store: Store, match_id: str) -> str | None:
    (row,) = await store.run("SELECT replay_url FROM matches WHERE id = $1", match_id)
    url: str | None = row["replay_url"]
    return url


def _held(path: Path) -> dict[str, bool | None]:
    report = verify_game(read_file(path), find_rulesets())
    return {finding.check: finding.holds for finding in report.findings}


async def test_downloaded_replay_of_a_finished_game_is_verified(
    store: Store, tmp_path: Path
) -> None:
    match_id = await _finish_game(store)
    assert await store.files.replays.build_due() == 1
    url = await _url(store, match_id)
    assert url == f"/files/replays/{match_id}/full_session.json.gz"
    answer, body = await store.get(url)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/gzip")
    path = tmp_path / "full_session.json.gz"
    path.write_bytes(body)
    checks = ["order", "chain", "seed", "rules", "end", "game", "commands", "summary"]
    assert _held(path) == dict.fromkeys(checks, True)
    assert b"display_name" not in gzip.decompress(body)


SPOILED: tuple[tuple[Callable[[Any], object], str], ...] = (
    (lambda file: file["events"].pop(7), "order"),
    (lambda file: file["events"][5].update(hash="0" * 32), "chain"),
    (lambda file: file["game"].update(seed="another"), "game"),
    (lambda file: file["game"]["config"].update(rounds=2), "game"),
    (lambda file: file["initial_state"]["players"].reverse(), "commands"),
    (lambda file: file["commands"].pop(3), "commands"),
    (lambda file: file["commands"].pop(), "commands"),
    (lambda file: file["commands"][2].update(cmd_no=7), "commands"),
    (lambda file: _worsen(file["summary"]["final_scores"]), "summary"),
)


async def test_changed_replay_does_not_hold(store: Store, tmp_path: Path) -> None:
    match_id = await _finish_game(store)
    await store.files.replays.build_due()
    _, body = await store.get(str(await _url(store, match_id)))
    path = tmp_path / "changed.json.gz"
    for number, (spoil, check) in enumerate(SPOILED):
        file = orjson.loads(gzip.decompress(body))
        spoil(file)
        path.write_bytes(gzip.compress(orjson.dumps(file)))
        assert _held(path)[check] is False, (number, check)


def _worsen(scores: dict[str, int]) -> None:
    scores[next(iter(scores))] += 1


async def _file(store: Store, game: LiveGame) -> Json:
    """Build the replay of a finished game and read it."""
    assert await store.files.replays.build_due() == 1
    (row,) = await store.run("SELECT replay_url FROM matches WHERE game_id = $1", game.game_id)
    _, body = await store.get(row["replay_url"])
    file: Json = orjson.loads(gzip.decompress(body))
    return file


def _played_again(file: Json) -> list[tuple[int, str, Json]]:
    """Put a file's commands through the rules, from its initial state; give what comes of it."""
    ruleset = find_rulesets()[file["game"]["ruleset"]]
    start = file["initial_state"]
    config = ruleset.config.model_validate(start["config"])
    state = ruleset.initial(Setup(config, start["players"], start["seed"]))
    came: list[tuple[int, str, Json]] = []

    def follow(index: int, events: list[Event]) -> None:
        for at, event in enumerate(events, start=index):
            ruleset.evolve(state, event)
            came.append((at, event.type, event.payload))

    follow(1, ruleset.setup(state))
    for command in file["commands"]:
        index, seat = command["event_index"], command["seat"]
        if "presence" in command:
            payload = {"seat": seat, "player_id": start["players"][seat], "_v": 1}
            follow(index, [Event(command["presence"], payload)])
        else:
            events = ruleset.decide(state, seat, ruleset.parse(command["move"]))
            if command["cmd_no"] is not None:
                events[0].payload["_cmd"] = [seat, command["cmd_no"]]
            follow(index, events)
    return came


def _came(file: Json) -> list[tuple[int, str, Json]]:
    """Give a file's events, but for those that come of no command that was accepted."""
    others = ("game_created", "invalid_action", "game_completed")
    events = [(e["event_index"], e["event"], e["payload"]) for e in file["events"]]
    return [event for event in events if event[1] not in others]


async def test_commands_played_again_give_the_same_events(store: Store) -> None:
    async with open_room(store.database) as room:
        game = await room.game("el_dorado", [None, "random", "bid_and_duck"], rounds=2)
        await play_and_leave(game)
        await room.completed(game.game_id)
    file = await _file(store, game)
    assert file["format"] == "playhall.replay/2"
    assert file["initial_state"]["seed"] == file["game"]["seed"]
    own = [command for command in file["commands"] if command["seat"] == 0]
    assert (own[0]["cmd_no"], own[0]["move"]["type"]) == (1, "bid")
    assert [command["presence"] for command in own if "presence" in command] == ["player_left"]
    assert {command["cmd_no"] for command in own[1:] if "move" in command} == {None}
    assert _played_again(file) == _came(file)


async def test_commands_of_a_relay_are_what_was_sent(store: Store) -> None:
    async with open_room(store.database) as room:
        game = await room.game("relay", [None, None])
        await act(game, 1, 1, {"fire": [1, 2.5]})
        await act(game, 0, 1, {"type": "end", "scores": "no scores"})
        await act(game, 0, 2, {"type": "end"})
        await room.completed(game.game_id)
    file = await _file(store, game)
    assert file["commands"] == [
        {"event_index": 1, "seat": 1, "cmd_no": 1, "move": {"fire": [1, 2.5]}},
        {"event_index": 3, "seat": 0, "cmd_no": 2, "move": {"type": "end", "scores": {}}},
    ]
    assert _played_again(file) == _came(file)


async def test_replay_of_rules_that_are_gone_has_the_log_and_no_commands(store: Store) -> None:
    match_id = await _finish_game(store)
    store.files.replays._rulesets = {}
    await store.files.replays.build_due()
    _, body = await store.get(str(await _url(store, match_id)))
    file = orjson.loads(gzip.decompress(body))
    assert file["commands"] is None
    assert len(file["initial_state"]["players"]) == 3
    assert file["events"][-1]["event"] == "game_completed"


async def test_replay_that_is_too_large_with_its_commands_goes_without(store: Store) -> None:
    noise = Random(1)
    async with open_room(store.database) as room:
        game = await room.game("relay", [None])
        for cmd_no in range(1, 300):
            await act(game, 0, cmd_no, {"noise": noise.randbytes(8000).hex()})
        await act(game, 0, 300, {"type": "end"})
        await room.completed(game.game_id)
    file = await _file(store, game)
    assert (file["commands"], len(file["events"])) == (None, 302)


async def test_file_of_the_first_format_still_verifies(store: Store, tmp_path: Path) -> None:
    match_id = await _finish_game(store)
    await store.files.replays.build_due()
    _, body = await store.get(str(await _url(store, match_id)))
    file = orjson.loads(gzip.decompress(body))
    del file["initial_state"], file["commands"]
    path = tmp_path / "first.json.gz"
    path.write_bytes(gzip.compress(orjson.dumps(file | {"format": "playhall.replay/1"})))
    held = _held(path)
    assert held.pop("commands") is None
    assert set(held.values()) == {True}


async def test_replay_is_built_once_by_however_many_look(store: Store) -> None:
    matches = [await _finish_game(store) for _ in range(2)]
    built = await asyncio.gather(*(store.files.replays.build_due() for _ in range(3)))
    assert sum(built) == len(await store.keys()) == len(matches)
    assert await store.files.replays.build_due() == 0


async def test_replay_that_a_crash_interrupted_is_built_later(store: Store) -> None:
    match_id = await _finish_game(store)
    due = await store.files.replays._store.take_due(again_after_s=600)
    assert due is not None  # and here the node dies
    assert await store.files.replays.build_due() == 0
    await store.run("UPDATE matches SET replay_due_at = now()")
    assert await store.files.replays.build_due() == 1
    assert (await store.get(str(await _url(store, match_id))))[0].status == 200


async def test_one_broken_game_keeps_no_other_from_its_replay(store: Store) -> None:
    broken = new_id()
    await store.run(
        "INSERT INTO games (id, session_seed, config, status, ruleset, ruleset_version)"
        " VALUES ($1, 's', '{}', 'in_progress', 'relay', 1)",
        broken,
    )
    await store.run("INSERT INTO matches (game_id, ended_at) VALUES ($1, now())", broken)
    match_id = await _finish_game(store)
    assert await store.files.replays.build_due() == 1
    assert await _url(store, match_id) is not None


async def test_replay_of_a_private_game_is_for_who_played_it(store: Store) -> None:
    match_id = await _finish_game(store, is_public=False)
    await store.files.replays.build_due()
    url = str(await _url(store, match_id))
    ann, eve = await store.person(), await store.person()
    await store.run(
        "UPDATE players SET user_id = $1 WHERE id ="
        " (SELECT player_id FROM match_players WHERE match_id = $2 LIMIT 1)",
        str(ann),
        match_id,
    )
    answers = [(await store.get(url, who=who))[0].status for who in (ann, eve, None)]
    assert answers == [200, 404, 404]


# ------------------------------------------------------------------ peers


async def _peer_match(store: Store, host: str) -> str:
    """Put a reported match between peers of a public lobby on record."""
    lobby, match_id = new_id(), new_id()
    await store.run("INSERT INTO lobbies (id, mode, seats) VALUES ($1, 'peer', 2)", lobby)
    await store.run(
        "INSERT INTO matches (id, lobby_id, mode, ended_at) VALUES ($1, $2, 'peer', now())",
        match_id,
        lobby,
    )
    store.hosts.add((match_id, host))
    return match_id


async def _send(store: Store, who: Any, match_id: str, content: bytes) -> tuple[int, Json]:
    path = f"/v1/matches/{match_id}/replay"
    status, announced = await store.post(who, path, {"size": len(content)})
    assert status == 200, announced
    return await store.put(announced["upload_url"], content, "application/gzip")


async def test_host_sends_the_replay_of_a_match_between_peers(store: Store) -> None:
    ann = await store.person()
    match_id = await _peer_match(store, ann)
    content = gzip.compress(orjson.dumps(PEERS))
    assert (await _send(store, ann, match_id, content))[0] == 200
    assert (await store.get(str(await _url(store, match_id))))[1] == content
    path = f"/v1/matches/{match_id}/replay"
    status, refused = await store.post(ann, path, {"size": 100})
    assert (status, refused["code"]) == (409, "file_taken")
    assert await store.files.replays.build_due() == 0


async def test_replay_is_sent_by_the_reporting_host_alone(store: Store) -> None:
    ann, eve = await store.person(), await store.person()
    match_id = await _peer_match(store, ann)
    path = f"/v1/matches/{match_id}/replay"
    assert (await store.post(eve, path, {"size": 100}))[1]["code"] == "forbidden"
    status, refused = await store.post(ann, path, {"size": 5_000_000})
    assert (status, refused["field"]) == (422, "size")


def _deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x1f\x8b\x08" + b"nonsense" * 5, "not a gzip"),
        (gzip.compress(b"{}")[:-3], "single complete gzip"),
        (gzip.compress(orjson.dumps(PEERS)) * 2, "single complete"),
        (gzip.compress(b"{nonsense"), "not valid JSON"),
        (gzip.compress(b"[]"), "initial_state"),
        (gzip.compress(b'{"commands": []}'), "initial_state"),
        (gzip.compress(b'{"initial_state": 1, "commands": {}}'), "commands"),
        (gzip.compress(orjson.dumps(PEERS | {"more": _deep(40)})), "nested"),
        (zlib.compress(orjson.dumps(PEERS)), "content is not"),
    ],
    # A gzip file says when it was made, which is no name for a test.
    ids=[
        "nonsense",
        "cut off",
        "two members",
        "bad JSON",
        "a list",
        "no state",
        "no list",
        "deep",
        "zlib",
    ],
)
async def test_what_is_no_replay_is_refused(store: Store, content: bytes, said: str) -> None:
    ann = await store.person()
    match_id = await _peer_match(store, ann)
    status, refused = await _send(store, ann, match_id, content)
    assert (status, refused["code"], said in refused["message"]) == (422, "file_refused", True)
    assert await store.keys() == set()
    assert await _url(store, match_id) is None


async def test_replay_of_peers_is_parsed_in_a_process_of_its_own(store: Store) -> None:
    ann = await store.person()
    match_id = await _peer_match(store, ann)
    small = gzip.compress(b'{"commands": [' + b"[]," * 2_000_000 + b"[]]}")
    assert len(small) < 10_000
    before = getrusage(RUSAGE_CHILDREN).ru_utime
    assert "initial_state" in (await _send(store, ann, match_id, small))[1]["message"]
    assert getrusage(RUSAGE_CHILDREN).ru_utime > before


async def test_bomb_is_not_unpacked(store: Store) -> None:
    ann = await store.person()
    match_id = await _peer_match(store, ann)
    bomb = gzip.compress(b" " * (5 * REPLAY_JSON_BYTES_MAX))
    assert len(bomb) < 1_000_000
    status, refused = await _send(store, ann, match_id, bomb)
    assert (status, str(REPLAY_JSON_BYTES_MAX) in refused["message"]) == (422, True)
