"""`playhall achievements rebuild`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from persistence.achievements.store import (
    AchievementStore,
    PlayerAchievements,
    StoredAchievement,
)
from persistence.database import Database
from persistence.games.store import GameStore
from protocol.ids import GameId, PlayerId
from server.config import Config
from server.domains.play.games.completed_games import CompletedGameReader
from server.domains.progression.achievements.rules import list_gains, list_players, need_events
from server.gamekit.fold import AnyRuleset
from server.ops.object_store import configured_store
from server.ops.shell import DataDir, Shell
from server.rulesets import find_rulesets


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands about achievements to a command line."""
    achievements = typer.Typer(no_args_is_help=True, help="Check what players achieved.")
    achievements.callback()(lambda: None)  # so that `rebuild` stays a command of its own
    achievements.command()(_Commands(shell).rebuild)
    app.add_typer(achievements, name="achievements")


class _Opened(NamedTuple):
    store: AchievementStore
    records: CompletedGameReader
    rulesets: Mapping[str, AnyRuleset]


class _Commands:
    """The commands; each ends with status 1 where something is not as it must be."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def rebuild(
        self,
        verify: Annotated[bool, typer.Option("--verify", help="Only report.")] = False,
        data_dir: DataDir = None,
    ) -> None:
        """Count achievements again from the logs, and correct what differs."""
        config = self._shell.read_config(data_dir=data_dir)
        with self._shell.said_plainly():
            holds = self._shell.run_in_context(
                config, context=_context, work=lambda opened: self._rebuild(opened, verify)
            )
        if not holds:
            raise typer.Exit(1)

    async def _rebuild(self, opened: _Opened, verify: bool) -> bool:
        players = differences = 0
        async for player_id in opened.store.iterate_players(list(opened.rulesets)):
            players += 1
            # Their games wait only while somebody for whom something differs is counted.
            async with opened.store.look(player_id) as looked:
                found = await _compare(opened, looked, player_id)
            if found.differing and not verify:
                async with opened.store.hold(player_id) as held:
                    found = await _compare(opened, held, player_id)
                    await held.write(list(found.counted.values()), found.games)
            differences += len(found.differing)
            for ruleset, key in found.differing:
                was, is_ = found.stored.get((ruleset, key)), found.counted.get((ruleset, key))
                self._out.print(
                    f"player {player_id}, {ruleset} {key}: progress is "
                    f"{was.progress if was else 0}, should be {is_.progress if is_ else 0}"
                )
        done = ", which were corrected" if differences and not verify else ""
        self._out.print(f"{players} players checked, {differences} achievements differ{done}.")
        return not verify or not differences


Counted = dict[tuple[str, str], StoredAchievement]


class _Comparison(NamedTuple):
    stored: Counted
    counted: Counted
    games: list[GameId]
    differing: list[tuple[str, str]]


async def _compare(opened: _Opened, held: PlayerAchievements, player_id: PlayerId) -> _Comparison:
    stored = {(each.ruleset, each.key): each for each in await held.read()}
    counted, games = await _count(opened, held, player_id)
    return _Comparison(stored, counted, games, _differing(stored, counted))


async def _count(
    opened: _Opened, held: PlayerAchievements, player_id: PlayerId
) -> tuple[Counted, list[GameId]]:
    """Count a player's games in the order in which they ended."""
    counted: Counted = {}
    games: list[GameId] = []
    async for played in held.iterate_games(list(opened.rulesets)):
        achievements = opened.rulesets[played.ruleset].achievements
        game = await opened.records.read_completed(
            played.game_id, with_events=need_events(achievements)
        )
        if game is None or player_id not in list_players(game):
            continue
        games.append(played.game_id)
        for gain in list_gains(game, achievements):
            if gain.player_id != player_id:
                continue
            before = counted.get((played.ruleset, gain.key))
            progress = gain.amount + (before.progress if before else 0)
            granted = (before.granted_at, before.game_id) if before else (None, None)
            if granted[0] is None and progress >= gain.steps:
                granted = (played.ended_at, played.game_id)
            counted[played.ruleset, gain.key] = StoredAchievement(
                played.ruleset, gain.key, progress, *granted
            )
    return counted, games


def _differing(stored: Counted, counted: Counted) -> list[tuple[str, str]]:
    """List what differs in progress or in whether it is granted.

    Which game granted it can differ where games ended together: events have no order.
    """

    def facts(found: StoredAchievement | None) -> tuple[int, bool]:
        return (0, False) if found is None else (found.progress, found.granted_at is not None)

    keys = sorted({*stored, *counted})
    return [key for key in keys if facts(stored.get(key)) != facts(counted.get(key))]


@asynccontextmanager
async def _context(config: Config, dsn: str) -> AsyncIterator[_Opened]:
    rulesets = find_rulesets(*config.ruleset_directories())
    with_any = {name: rules for name, rules in rulesets.items() if rules.achievements}
    database = await Database.open(dsn)
    try:
        yield _Opened(
            AchievementStore(database),
            CompletedGameReader(
                GameStore(database, node="achievements", objects=configured_store(config)), rulesets
            ),
            with_any,
        )
    finally:
        await database.close()
