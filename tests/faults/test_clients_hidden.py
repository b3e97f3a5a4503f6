"""What a player may not know does not leave the server: not live, not again, not over HTTP."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from random import Random

import aiohttp
import pytest

from tests.faults.client_line import Guest, Json, Line, lines, new_guests, served, sit_down
from tests.faults.client_turns import is_over, play
from tests.faults.conftest import Rounds
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

SEED = 7
CARD = re.compile(r"d\d:[a-z]+:\w+")


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with served(databases, tmp_path_factory.mktemp("node")) as node:
        yield node


async def test_no_card_is_known_before_it_is_played(node: Node, rounds: Rounds) -> None:
    """Players take their streams up again from anywhere, spectators watch, pages are read."""
    for seed in range(SEED, SEED + rounds(1, 20)):
        guests = await new_guests(node, 6)
        async with lines(node, guests) as everybody:
            table, spectators = everybody[:4], everybody[4:]
            game_id = await sit_down(table, "el_dorado")
            readers = _Readers(node, game_id, dict(zip(table, guests, strict=False)), Random(seed))
            await spectators[0].ok("game.watch", game_id=game_id)
            await spectators[1].ok("game.watch", game_id=game_id, delay_s=0.5)
            await play(table, game_id, Random(seed), readers.look)
            while not all(map(is_over, spectators)):
                for line in spectators:
                    if not is_over(line):
                        await line.read()
            secret = table[0].events[-1]["payload"]["session_seed"]
            for guest, line in zip(guests[:4], table, strict=True):
                _Viewer(guest.player_id, secret).check(line.frames)
                _Viewer(guest.player_id, secret).check(readers.pages[guest.player_id])
            for texts in (*(line.frames for line in spectators), readers.pages[""]):
                _Viewer(None, secret).check(texts)
            await _check_open(everybody, game_id)


async def _check_open(everybody: list[Line], game_id: str) -> None:
    """Once the game is over, everybody may read every hand."""
    for line in everybody:
        start = len(line.events)
        await line.ok("game.resume" if line in everybody[:4] else "game.watch", game_id=game_id)
        dealt = [e["payload"]["hands"] for e in line.events[start:] if e["event"] == "cards_dealt"]
        assert [len(hands) for hands in dealt] == [4] * 10


class _Readers:
    """What players do besides: look again, on the socket and over HTTP, as who they are."""

    def __init__(self, node: Node, game_id: str, guests: dict[Line, Guest], chance: Random) -> None:
        self._url = f"{node.url}/v1/games/{game_id}/events"
        self._game_id = game_id
        self._guests = guests
        self._chance = chance
        self.pages: dict[str, list[str]] = defaultdict(list)

    async def look(self, line: Line) -> None:
        """Take the stream up again from anywhere, or read a page of the log."""
        dice, head = self._chance.randrange(10), line.events[-1]["event_index"]
        if dice == 0:
            after = self._chance.randint(-1, head)
            await line.ok("game.resume", game_id=self._game_id, after=after)
        elif dice == 1:
            guest = self._guests[line]
            await self._read_page(guest.player_id, {"Authorization": f"Bearer {guest.token}"})
        elif dice == 2:
            await self._read_page("", {})

    async def _read_page(self, reader: str, headers: dict[str, str]) -> None:
        parameters = {"limit": "1000"}
        async with (
            aiohttp.ClientSession(headers=headers) as web,
            web.get(self._url, params=parameters) as answer,
        ):
            page: Json = await answer.json()
            assert answer.status == 200, page
        assert page["events"]
        self.pages[reader] += [json.dumps(event) for event in page["events"]]


class _Viewer:
    """Goes through the texts that somebody got, and knows in each what they may know."""

    def __init__(self, player_id: str | None, secret: str) -> None:
        self._player_id = player_id
        self._secret = secret
        self._round = 0
        self._round_at: dict[int, int] = {}
        self._known: dict[int, set[str]] = defaultdict(set)

    def check(self, texts: list[str]) -> None:
        """Fail at the first card, or the seed, that is shown before its time."""
        assert texts
        for text in texts:
            frame = json.loads(text)
            if frame.get("event") == "game_completed":
                continue
            assert self._secret not in text
            number = self._learn(frame)
            unknown = set(CARD.findall(text)) - self._known[number]
            assert not unknown, f"{self._player_id} was shown {unknown}: {text}"

    def _learn(self, frame: Json) -> int:
        """Note what this frame is allowed to show; gives the round that it is about."""
        if frame["type"] != "game.event":
            return int(frame["view"]["round"]) if "view" in frame else self._round
        payload = frame["payload"]
        if frame["event"] == "round_started":
            self._round = payload["round"]
        self._round = self._round_at.setdefault(frame["event_index"], self._round)
        known = self._known[self._round]
        if frame["event"] == "cards_dealt":
            own = {self._player_id} - {None}
            assert payload["hands"].keys() == own
            known.update(card for hand in payload["hands"].values() for card in hand)
        elif frame["event"] in ("card_played", "trump_revealed"):
            known.add(payload["card"])
        return self._round
