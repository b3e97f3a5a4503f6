"""Simulated players against a real server, and the audit of what they saw."""

import asyncio
from dataclasses import replace
from random import Random

import orjson
import pytest

from loadtest.measure import Checks
from loadtest.players import KINDS
from loadtest.simulation.group import MatchSetup, PlayerGroup
from loadtest.simulation.player import PlayerHabits
from loadtest.simulation.trace import LOG, ORDER, SUMMARY, audit_games
from playhall.http import HttpClient
from tests.integration.loadtest.conftest import players_of
from tests.integration.loadtest.proxy import proxied

TABLE = MatchSetup(KINDS["el_dorado"], PlayerHabits(misplays=0.1), {"rounds": 3})


def failed(checks):
    return {name for name, each in checks.by_name.items() if each.failed}


async def test_connections_that_break_in_the_middle_lose_nothing(server_url):
    checks, chance = Checks(), Random(5)
    async with players_of(4, server_url) as (http, players):
        group = PlayerGroup(players, TABLE, checks)
        record = await group.start_game()
        group.begin_playing()
        while not record.done.is_set():
            connection = players[chance.randrange(4)].connection
            await (
                connection.wait_until_ready()
            )  # a busy machine may take longer to greet than the pause
            connection.drop_websocket()
            await asyncio.sleep(0.02)
        game = await group.wait_for_end(record)
        assert failed(checks) == set()
        await audit_games(http, game, checks)

        assert sum(player.connection.reconnects for player in players) > 0
    assert failed(checks) == set()
    assert checks.by_name[ORDER].passed == 4


@pytest.fixture(scope="module")
async def played(server_url):
    """A finished game as its players saw it."""
    checks = Checks()
    async with players_of(4, server_url) as (http, players):
        game = await PlayerGroup(players, TABLE, checks).play_game()
        await audit_games(http, game, checks)
    assert failed(checks) == set()
    assert sum(game.misplays.values()) > 0
    return game


@pytest.mark.parametrize(
    ("name", "value"),
    [("digest", b"other"), ("head", 7), ("head", 10_000), ("hidden", ((2, "hands", {"x": []}),))],
)
async def test_log_that_is_not_what_was_seen_turns_red(server_url, played, name, value):
    assert failed(await audited(server_url, replace(played, **{name: value}))) == {LOG}


async def test_summary_that_is_not_what_was_counted_turns_red(server_url, played):
    wrong = {player: score + 1 for player, score in played.totals.items()}
    assert failed(await audited(server_url, replace(played, totals=wrong))) == {SUMMARY}
    assert failed(await audited(server_url, replace(played, misplays={}))) == {SUMMARY}


def _without(events):
    return events[:9] + events[10:]


def _swapped(events):
    return [*events[:9], events[10], events[9], *events[11:]]


def _altered(events):
    return [
        *events[:9],
        {**events[9], "payload": {**events[9]["payload"], "more": 1}},
        *events[10:],
    ]


def _renamed(events):
    return [*events[:9], {**events[9], "event": "something"}, *events[10:]]


def _moved_in_time(events):
    return [*events[:9], {**events[9], "at": "2000-01-01T00:00:00.000Z"}, *events[10:]]


@pytest.mark.parametrize("spoil", [_without, _swapped, _altered, _renamed, _moved_in_time])
async def test_log_that_was_tampered_with_turns_red(server_url, played, spoil):
    def change(path, content):
        if not path.endswith("/events"):
            return content
        page = orjson.loads(content)
        return orjson.dumps({**page, "events": spoil(page["events"])})

    async with proxied(server_url, lambda _, message: [message], spoil_http=change) as url:
        checks = await audited(url, played)

    assert failed(checks) == {LOG}


async def audited(url, game):
    checks = Checks()
    async with HttpClient(url) as http:
        await audit_games(http, game, checks)
    return checks
