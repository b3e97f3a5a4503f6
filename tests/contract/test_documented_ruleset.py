"""The games that the docs teach with are games."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from loadtest.players.kind import RulesetPlayer
from server import rulesets
from server.gamekit.conformance import check_ruleset
from server.gamekit.conformance.playout import Playout
from server.gamekit.fold import AnyRuleset
from server.rulesets import find_rulesets

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "guides" / "rulesets.md"
TUTORIAL = DOCS / "tutorial" / "your-first-game.md"
NIM, PLAYER = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
GUESS, _ = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)


@pytest.fixture
def games(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, AnyRuleset]]:
    for name, code in (("nim", NIM), ("guess", GUESS)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(code)
    monkeypatch.setattr(rulesets, "__path__", list(rulesets.__path__))
    yield find_rulesets(tmp_path)
    for name in ("nim", "guess"):
        sys.modules.pop(f"server.rulesets.{name}", None)
    find_rulesets.cache_clear()


@pytest.fixture
def nim(games: dict[str, AnyRuleset]) -> AnyRuleset:
    return games["nim"]


@pytest.fixture
def kind() -> RulesetPlayer:
    scope: dict[str, RulesetPlayer] = {}
    exec(compile(PLAYER, str(PAGE), "exec"), scope)
    return scope["KIND"]


def test_documented_game_is_played_to_its_end_by_its_bots(nim: AnyRuleset) -> None:
    playout = Playout(nim, 2, "documented").start().play()
    assert playout.completed
    assert sum(event.payload.get("stones", 0) for event in playout.log) == 21


@pytest.mark.parametrize("name", ["nim", "guess"])
def test_documented_game_keeps_every_promise(games: dict[str, AnyRuleset], name: str) -> None:
    assert [failure.explain() for failure in check_ruleset(games[name])] == []


def test_documented_simulated_player_plays_by_the_rules_and_keeps_the_score(
    nim: AnyRuleset, kind: RulesetPlayer
) -> None:
    playout = Playout(nim, 2, "simulated")
    players = [str(player.player_id) for player in playout.origin.players]
    seats = [kind.behaviour(me, Random(seat)) for seat, me in enumerate(players)]
    score = kind.score(players)
    playout.watch = lambda event: [
        each.on_event(event.type, event.payload) for each in (*seats, score)
    ]
    playout.start()
    while (seat := playout.to_act()) is not None:
        moves = [each.choose_move() for each in seats]
        assert moves[1 - seat] is None
        assert moves[seat] in playout.view(seat)["legal_moves"]
        assert playout.refusal(seat, seats[seat].make_illegal_move()) is not None
        playout.act(seat, moves[seat])
    assert playout.completed
    assert score.totals == playout.log[-1].payload["final_scores"]
