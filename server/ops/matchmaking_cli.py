"""`playhall matchmaking simulate`: how settings of matchmaking and ratings would do."""

import asyncio
from time import perf_counter
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table

from protocol.errors import InvalidField, UnknownRuleset
from server.core.settings import read_settings
from server.domains.play.matchmaking.rules import SearchRules
from server.domains.play.matchmaking.settings import MatchmakingSettings
from server.ops.match_simulation import MatchSimulation, SimulationPlan
from server.ops.shell import Shell
from server.rulesets import find_rulesets

MATCHES_MAX: Final = 1_000_000

Mean = Annotated[float, typer.Option(min=1, max=1_000_000, help="A mean, in seconds.")]


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands of matchmaking to a command line."""
    commands = _Commands(shell)
    group = typer.Typer(no_args_is_help=True, help="Matchmaking.")
    group.command()(commands.simulate)
    group.callback()(_group)
    app.add_typer(group, name="matchmaking")


def _group() -> None:
    """Matchmaking."""


class _Commands:
    """The commands of matchmaking."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def simulate(
        self,
        ruleset: Annotated[str, typer.Option(help="A rated ruleset.")] = "reversi",
        matches: Annotated[int, typer.Option(min=10, max=MATCHES_MAX, help="Matches.")] = 10_000,
        players: Annotated[int, typer.Option(min=2, max=100_000, help="Players.")] = 1_000,
        seats: Annotated[
            int | None, typer.Option(help="Of a match; the fewest by default.")
        ] = None,
        pause: Mean = 300.0,
        game: Mean = 300.0,
        seed: Annotated[int, typer.Option(help="Of all chance.")] = 1,
        as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
    ) -> None:
        """Simulate matchmaking with a virtual clock and PLAYHALL_MATCH_*, without a server."""
        with self._shell.said_plainly():
            config = self._shell.read_config()
            rules = find_rulesets(*config.ruleset_directories()).get(ruleset)
            if rules is None:
                raise UnknownRuleset
            count = min(rules.seats) if seats is None else seats
            if count not in rules.seats or count > players:
                raise InvalidField(f"--seats: {ruleset} has {rules.seats} of them.")
            plan = SimulationPlan(matches, players, count, pause, game, seed)
            settings = read_settings(MatchmakingSettings)
            search = SearchRules(
                settings.window,
                settings.window_per_s,
                settings.window_max,
                settings.region_s,
                bots_after_s=0,
            )
            began = perf_counter()
            report = asyncio.run(MatchSimulation(plan, rules, search).run())
            report["seconds"] = round(perf_counter() - began, 2)
        out = Console(highlight=False)
        if as_json:
            out.print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
            return
        table = Table("figure", "value")
        for name, value in report.items():
            table.add_row(name, f"{value:g}")
        out.print(table)
