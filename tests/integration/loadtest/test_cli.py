"""The load tester as one starts it, against a real server."""

import asyncio

import orjson
import pytest

from loadtest.scenarios import realtime
from loadtest.scenarios.relay import RelayScenario
from loadtest.scenarios.scenario import Shard
from loadtest.simulation.trace import AGREE, HIDDEN, LEGAL, LOG, ORDER, SCORE, SUMMARY
from server.config import Config
from server.domains.people.accounts.settings import AccountSettings
from server.domains.play.games.settings import GameSettings
from tests.fixtures.node import Node
from tests.fixtures.shell import playhall
from tests.integration.loadtest.proxy import proxied


async def loadtest(*arguments):
    """Run it; gives exit status and all that it printed."""
    done = await asyncio.to_thread(playhall, "loadtest", *arguments)
    return done.status, done.out + done.err


def report_in(file):
    report = orjson.loads(file.read_bytes())
    return report, {
        name: (each["passed"], each["failed"]) for name, each in report["checks"].items()
    }


async def test_five_matches_pass_every_check(server_url, tmp_path):
    file, html = tmp_path / "report.json", tmp_path / "report.html"
    status, printed = await loadtest(
        "matches", "--url", server_url, "--games", 5, "--concurrency", 3, "--processes", 2,
        "--rounds", 3, "--misplays", 0.1, "--json", file, "--html", html,
    )  # fmt: skip

    assert status == 0, printed
    report, checks = report_in(file)
    assert checks[ORDER] == (20, 0)
    assert checks[AGREE] == checks[SCORE] == checks[LOG] == checks[SUMMARY] == (5, 0)
    assert checks[LEGAL][0] > 0
    assert report["ok"] is True
    assert report["results"]["games in all"] == 5
    assert report["results"]["reply p99 ms"] > 0
    assert report["results"]["server: memory after MiB"] > 0
    assert sum(count for _, count in report["latency_ms"]) > 0
    assert "All checks passed." in html.read_text()


async def test_four_in_a_row_is_played_for_a_time(server_url, tmp_path):
    file = tmp_path / "report.json"
    status, printed = await loadtest(
        "matches", "--url", server_url, "--ruleset", "four_in_a_row", "--concurrency", 2,
        "--duration", 1, "--ramp-up", 0.2, "--think", 5, "--json", file,
    )  # fmt: skip

    assert status == 0, printed
    report, checks = report_in(file)
    assert checks[ORDER][0] == 2 * report["results"]["games in all"] > 0


async def test_relay_reports_what_was_delivered(server_url, tmp_path):
    file = tmp_path / "report.json"
    status, printed = await loadtest(
        "relay", "--url", server_url, "--rooms", 3, "--players", 3, "--duration", 1,
        "--ramp-up", 0.2, "--sample", 1, "--json", file,
    )  # fmt: skip

    assert status == 0, printed
    report, checks = report_in(file)
    assert report["results"]["deliveries/s"] > report["results"]["moves/s"] > 0
    assert checks[ORDER] == (9, 0)
    assert checks[LOG] == (1, 0)


async def test_real_time_rooms_see_one_world_and_log_every_input_once(server_url, tmp_path):
    file = tmp_path / "report.json"
    status, printed = await loadtest(
        "realtime", "--url", server_url, "--rooms", 2, "--players", 3, "--duration", 1.5,
        "--ramp-up", 0.2, "--inputs-per-s", 8, "--processes", 2, "--json", file,
    )  # fmt: skip

    assert status == 0, printed
    report, checks = report_in(file)
    assert report["results"]["moves/s"] > 10
    assert checks[realtime.NO_GAP] == (6, 0)
    assert checks[realtime.ONCE] == (6, 0)
    assert checks[realtime.SAME_VIEW][0] > 0
    assert report["results"]["reply p50 ms"] > 0


def lost_patch():
    """Lose a patch that had changes, of one player."""
    seen = [0]

    def change(client, message):
        if client == 1 and message["type"] == "game.patch" and message["changes"]:
            seen[0] += 1
            if seen[0] == 5:
                return []
        return [message]

    return change


def other_world(client, message):
    if client == 1 and message["type"] == "game.patch":
        message["changes"]["left_s"] = -1
    return [message]


@pytest.mark.parametrize(
    ("spoil", "promise"),
    [(lost_patch(), realtime.NO_GAP), (other_world, realtime.SAME_VIEW)],
    ids=["a patch is lost", "another world"],
)
async def test_spoilt_world_breaks_a_promise(server_url, spoil, promise):
    async with proxied(server_url, spoil) as url:
        share = realtime.RealtimeScenario(
            shard=Shard(url),
            rooms=1,
            players=3,
            inputs_per_s=8,
            duration_s=1.5,
            ramp_up_s=0.1,
            sample=1,
        )
        measured = await share.run(lambda _: None)

    assert measured.checks.by_name[promise].failed > 0


async def test_idle_connections_stay(server_url, node, tmp_path):
    file = tmp_path / "report.json"
    status, printed = await loadtest(
        "idle", "--url", server_url, "--connections", 20, "--duration", 1, "--pid", node.pid,
        "--json", file,
    )  # fmt: skip

    assert status == 0, printed
    report, checks = report_in(file)
    assert checks["every connection stayed open"] == (20, 0)
    assert "bytes per connection" in report["results"]


async def test_lobbies_come_and_go(server_url, tmp_path):
    file = tmp_path / "report.json"
    status, printed = await loadtest(
        "lobby", "--url", server_url, "--pairs", 3, "--duration", 1, "--json", file
    )

    assert status == 0, printed
    assert report_in(file)[0]["results"]["commands/s"] > 0


async def test_lobbies_come_and_go_at_the_pace_that_the_server_allows(serving_dsn, tmp_path):
    file = tmp_path / "report.json"
    with Node(tmp_path / "slow", serving_dsn, commands_per_s=12, commands_burst=10) as slow:
        status, printed = await loadtest(
            "lobby", "--url", slow.url, "--pairs", 2, "--duration", 1.5, "--json", file
        )

    assert status == 0, printed
    assert "rate_limited" in printed


def is_event(message, index):
    return message["type"] == "game.event" and message["event_index"] == index


def dropped(client, message):
    return [] if client == 2 and is_event(message, 9) else [message]


def repeated(client, message):
    return [message, message] if client == 2 and is_event(message, 9) else [message]


def altered_for_one(client, message):
    if client == 2 and is_event(message, 9):
        message["at"] = "2000-01-01T00:00:00.000Z"
    return [message]


def altered_for_all(_, message):
    if is_event(message, 9):
        message["at"] = "2000-01-01T00:00:00.000Z"
    return [message]


def swapped():
    held = []

    def swap(client, message):
        if client == 2 and is_event(message, 9):
            held.append(message)
            return []
        if client == 2 and is_event(message, 10):
            return [message, *held]
        return [message]

    return swap


@pytest.mark.parametrize(
    ("spoil", "promise"),
    [
        (dropped, ORDER),
        (repeated, ORDER),
        (swapped(), ORDER),
        (altered_for_one, AGREE),
        (altered_for_all, LOG),
    ],
    ids=["dropped", "repeated", "swapped", "altered for one", "altered for all"],
)
async def test_spoilt_stream_fails_loudly(server_url, tmp_path, spoil, promise):
    file = tmp_path / "report.json"
    async with proxied(server_url, spoil) as url:
        status, printed = await loadtest(
            "matches", "--url", url, "--games", 1, "--rounds", 2, "--json", file
        )

    assert status == 1
    assert "CHECKS FAILED" in printed
    assert report_in(file)[1][promise][1] > 0


def leaked():
    """Show a player the hand that another was dealt."""
    dealt = {}

    def leak(client, message):
        if message["type"] == "game.event" and message["event"] == "cards_dealt":
            dealt.update(message["payload"]["hands"])
            if len(dealt) > 1:
                message["payload"]["hands"] = dict(dealt)
        return [message]

    return leak


async def test_sight_of_another_hand_fails_loudly(server_url, tmp_path):
    file = tmp_path / "report.json"
    async with proxied(server_url, leaked()) as url:
        status, _ = await loadtest(
            "matches", "--url", url, "--games", 1, "--rounds", 2, "--json", file
        )

    assert status == 1
    assert report_in(file)[1][HIDDEN][1] > 0


def spoilt_for(victim, spoil):
    """Spoil two relayed events of one client, the first of them from the 20th on."""
    taken = []

    def change(client, message):
        is_relayed = message["type"] == "game.event" and message["event"] == "relayed"
        if client != victim or not is_relayed or message["event_index"] < 20 or len(taken) == 2:
            return [message]
        taken.append(message)
        return spoil(taken) if len(taken) == 2 else []

    return change


def one_dropped(taken):
    return [taken[1]]


def one_repeated(taken):
    return [taken[0], taken[0], taken[1]]


def two_swapped(taken):
    return [taken[1], taken[0]]


def one_byte_changed(taken):
    """Change one byte in the middle of a long payload."""
    data = taken[1]["payload"]["data"]
    data["pad"] = f"{data['pad'][:99]}y{data['pad'][100:]}"
    return taken


@pytest.mark.parametrize("victim", range(3))
@pytest.mark.parametrize(
    ("spoil", "promise"),
    [(one_dropped, ORDER), (one_repeated, ORDER), (two_swapped, ORDER), (one_byte_changed, AGREE)],
)
async def test_one_spoilt_event_of_one_client_of_a_relay_is_found(
    server_url, victim, spoil, promise
):
    async with proxied(server_url, spoilt_for(victim, spoil)) as url:
        share = RelayScenario(
            shard=Shard(url),
            rooms=1,
            players=3,
            window=4,
            payload_bytes=250,
            duration_s=0.5,
            ramp_up_s=0.1,
            sample=0,  # so that the log over HTTP does not give it away
        )
        measured = await share.run(lambda _: None)

    assert measured.checks.by_name[promise].failed > 0


async def test_nobody_at_the_address_is_said_in_a_sentence():
    status, printed = await loadtest("matches", "--url", "http://127.0.0.1:9", "--games", 1)

    assert status == 1
    assert "Nothing answers at http://127.0.0.1:9." in printed
    assert "Traceback" not in printed


@pytest.fixture(scope="module")
def default_url(serving_dsn, tmp_path_factory):
    """A server whose limits are the ones that it has when nobody sets any."""
    limits = ("commands_per_s", "commands_burst", "guests_per_minute", "bot_pause_s")
    fields = {**Config.model_fields, **AccountSettings.model_fields, **GameSettings.model_fields}
    defaults = {name: fields[name].default for name in limits}
    with Node(tmp_path_factory.mktemp("defaults"), serving_dsn, **defaults) as node:
        yield node.url


@pytest.mark.parametrize(
    "arguments",
    [
        ("matches", "--games", 2),
        ("relay", "--rooms", 1, "--players", 2, "--duration", 2),
        ("signaling", "--pairs", 2, "--duration", 2),
        ("idle", "--connections", 10, "--duration", 1),
        ("lobby", "--pairs", 1, "--duration", 2),
        ("epoch", "--watchers", 5, "--duration", 1),
        ("progression", "--players", 1, "--seconds", 1, "--think", 0, "--sample", 0),
    ],
    ids=lambda arguments: arguments[0],
)
async def test_every_scenario_passes_within_the_limits_of_a_default_server(default_url, arguments):
    scenario, *options = arguments
    status, printed = await loadtest(scenario, "--url", default_url, *options)
    assert status == 0, printed
