"""The public client against a real server."""

import asyncio
import random
import re
from pathlib import Path

import pytest

from playhall import ConnectionLost, EventOutOfOrder, RequestRefused, ServerUnreachable, connect
from playhall.account import Account
from playhall.http import HttpClient
from tests.integration.loadtest.proxy import proxied

ROOT = Path(__file__).parents[3]


async def log_of(url, game_id):
    async with HttpClient(url) as http:
        page = await http.get(f"/v1/games/{game_id}/events?limit=1000")
        return page["events"]


async def play_through(client, game, *, each=lambda _: None):
    """Play any legal move until the end; gives every event."""
    events = []
    async for event in game:
        events.append(event)
        each(event)
        moves = (await game.view())["legal_moves"]
        if moves:
            await game.act(random.choice(moves))
    return events


@pytest.mark.parametrize("page", ["README.md", "docs/guides/clients.md"])
async def test_ten_lines_of_the_page_are_a_bot(server_url, page):
    snippet = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)[0]
    snippet = re.sub(r"^asyncio.run\(.*\)$", "", snippet, flags=re.M)  # a loop runs here already
    spoken = []
    scope = {"__name__": "guide", "print": spoken.append}
    exec(compile(snippet, page, "exec"), scope)
    await scope["main"](server_url)

    assert len(snippet.strip().splitlines()) <= 16
    assert spoken[-1].type == "game_completed"


@pytest.mark.parametrize("seed", range(3))
async def test_connection_that_breaks_again_and_again_loses_nothing(server_url, seed):
    chance = random.Random(seed)
    async with connect(server_url, name="Breaker") as client:
        game = await client.quick_play("el_dorado", config={"rounds": 3})

        def maybe_break(_):
            if chance.random() < 0.2:
                client.connection.drop_websocket()

        events = await play_through(client, game, each=maybe_break)

        assert client.connection.reconnects > 0
    log = await log_of(server_url, game.game_id)
    assert [event.event_index for event in events] == list(range(len(log)))
    assert [(event.type, event.at) for event in events] == [
        (each["event"], each["at"]) for each in log
    ]
    numbers = [each["payload"]["_cmd"] for each in log if "_cmd" in each["payload"]]
    assert numbers == [[game.seat, n] for n in range(1, len(numbers) + 1)]


async def test_move_whose_answer_got_lost_acts_once(server_url):
    def lose_first_ok_of_a_move(_, message):
        if "event_index" in message and message.get("type") == "ok" and not lost:
            lost.append(message)
            client.connection.drop_websocket()
            return []
        return [message]

    lost = []
    async with proxied(server_url, lose_first_ok_of_a_move) as url, connect(url) as client:
        game = await client.quick_play("four_in_a_row")
        await play_through(client, game)

    log = await log_of(server_url, game.game_id)
    mine = [each["payload"]["_cmd"] for each in log if "_cmd" in each["payload"]]
    assert len(lost) == 1
    assert mine == [[game.seat, n] for n in range(1, len(mine) + 1)]


async def test_slow_reader_gets_everything_all_the_same(server_url, monkeypatch):
    monkeypatch.setattr("playhall.client.EVENTS_MAX", 4)
    async with connect(server_url) as client:
        lobby = (await client.call("lobby.create", ruleset="relay", seats=1))["lobby"]
        lobby = (await client.call("lobby.start", lobby_id=lobby["lobby_id"]))["lobby"]
        game = await client.wait_for_game(lobby)
        for n in range(50):
            await game.act({"n": n})  # nobody reads meanwhile
        await game.act({"type": "end"})

        assert len(game._events) <= 4
        events = [event async for event in game]

    assert [event.event_index for event in events] == list(range(53))
    assert events[-1].type == "game_completed"


@pytest.mark.parametrize("spoil", ["drop", "repeat"])
async def test_gap_or_repeat_raises(server_url, spoil):
    def change(_, message):
        if message.get("event_index") == 3 and message["type"] == "game.event":
            return [] if spoil == "drop" else [message, message]
        return [message]

    async with proxied(server_url, change) as url, connect(url) as client:
        game = await client.quick_play("el_dorado", config={"rounds": 1})
        with pytest.raises(EventOutOfOrder):
            await play_through(client, game)


async def test_spectator_sees_the_game_but_no_hand(server_url):
    async with connect(server_url) as player, connect(server_url) as watcher:
        game = await player.quick_play("el_dorado", config={"rounds": 1})
        seen = await watcher.game(game.game_id, watch=True)
        first = [await anext(seen) for _ in range(3)]
        await play_through(player, game)
        rest = [event async for event in seen]

    deal = next(event for event in first + rest if event.type == "cards_dealt")
    assert deal.payload["hands"] == {}
    assert seen.seat is None
    assert rest[-1].type == "game_completed"


async def test_refusal_is_raised_with_its_code(server_url):
    async with connect(server_url) as client:
        with pytest.raises(RequestRefused) as refused:
            await client.call("lobby.join", code="222222")
        assert refused.value.code == "lobby_not_found"
        game = await client.quick_play("four_in_a_row")
        with pytest.raises(RequestRefused) as refused:
            await game.act({"type": "drop", "column": 99})

    assert refused.value.code == "unknown_move"
    assert refused.value.event_index is not None


async def test_bad_token_ends_it(server_url):
    async with connect(server_url, token="nonsense") as client:
        with pytest.raises(RequestRefused) as refused:
            await client.call("session.ping")

    assert refused.value.code == "bad_token"


async def test_newer_connection_of_a_player_ends_the_older(server_url):
    async with connect(server_url) as older:
        who = await older.player_id()
        async with connect(server_url, token=older.connection.account.token) as newer:
            assert await newer.player_id() == who
            with pytest.raises(ConnectionLost, match="superseded"):
                async for _ in older.updates():
                    pass
            assert (await newer.call("session.ping"))["type"] == "ok"
        assert newer.connection.reconnects == 0


async def test_what_the_block_raises_comes_out_as_it_is(server_url):
    with pytest.raises(ZeroDivisionError):
        async with connect(server_url):
            raise ZeroDivisionError


async def test_nobody_at_the_address_is_said_in_a_sentence():
    with pytest.raises(ServerUnreachable, match=r"Nothing answers at http://127\.0\.0\.1:9"):
        async with connect("http://127.0.0.1:9"):
            pass


async def test_closed_client_refuses_calls(server_url):
    async with connect(server_url) as client:
        await client.connection.wait_until_ready()
    with pytest.raises(ConnectionLost):
        await client.call("session.ping")


async def test_tokens_that_are_due_are_renewed_before_connecting(server_url, monkeypatch):
    renewed = []
    renew = Account.renew

    async def counted(account):
        await renew(account)
        renewed.append(account.token)

    monkeypatch.setattr(Account, "renew", counted)
    monkeypatch.setattr("playhall.account.RENEW_AT_SHARE", 0.0)
    async with connect(server_url) as client:
        await client.connection.wait_until_ready()
        client.connection.drop_websocket()
        await client.call("session.ping")
        await client.call("session.refresh", token=renewed[-1])

    assert len(renewed) >= 1


async def test_calls_at_once_each_get_their_own_answer(server_url):
    async with connect(server_url) as client:
        async with asyncio.TaskGroup() as tasks:
            calls = [
                tasks.create_task(client.call("lobby.list", ruleset=ruleset, limit=1))
                for ruleset in ["relay", "el_dorado"] * 40
            ]

        assert all(call.result()["type"] == "ok" for call in calls)
