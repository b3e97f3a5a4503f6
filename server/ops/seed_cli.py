"""`playhall seed narrative` and `playhall seed social`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import typer
import uvloop
from rich.console import Console

from persistence.social.seeding import SocialSeedStore
from server.config import Config
from server.core.clock import Clock
from server.ops.seeding.context import SeedContext, open_context
from server.ops.seeding.seeding import EDITOR, PLAYERS_MAX, NarrativeSeeding, SeedingResult
from server.ops.shell import DataDir, Shell
from server.ops.social_seeding.graph import USERNAME, SocialPlan
from server.ops.social_seeding.seeding import SocialSeeding

PEOPLE_MAX: Final = 999_999
CREATIONS_MAX: Final = 10_000_000
WHY: Final = (
    "this adds accounts that anybody can sign in as where the development login is on, and defines "
    "items, quests and packages that every player sees; no command takes them out again"
)

WHY_NOT_SOCIAL: Final = (
    "this adds people that anybody can sign in as where the development login is on, and what they "
    "published to every list; no command takes them out again"
)
SIGNED_IN: Final = (
    "{}, and people have signed in here with an email address or a provider; add --yes if that is "
    "what you want."
)

Players = Annotated[
    int, typer.Option(min=0, max=PLAYERS_MAX, help="How many simulated players there shall be.")
]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same one, the same branches.")]
Yes = Annotated[
    bool, typer.Option("--yes", help="Allow this on a database that may be in real use.")
]


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands that fill a database for development."""
    seed = typer.Typer(no_args_is_help=True, help="Fill a database for development.")
    commands = _Commands(shell)
    seed.command()(commands.narrative)
    seed.command()(commands.social)
    app.add_typer(seed, name="seed")


class _Commands:
    """The commands; a mistake ends with status 1 and a sentence."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def narrative(
        self,
        players: Players = 200,
        seed: Seed = 1,
        yes: Yes = False,
        data_dir: DataDir = None,
    ) -> None:
        """Add a branching story with quests, items and packages, and players on its branches."""
        config = self._shell.read_config(data_dir=data_dir)
        _require_development(config, WHY, yes=yes)

        async def work(context: SeedContext) -> SeedingResult:
            if not yes:
                await require_only_guests(context)
            return await NarrativeSeeding(context, seed=seed, on_progress=self._out.print).run(
                players
            )

        with self._shell.said_plainly():
            done = self._shell.run_in_context(
                config, context=open_context, work=work, new_loop=uvloop.new_event_loop
            )
        self._out.print(
            f"{done.made:,} players were added; {done.found:,} were here already. With "
            f"PLAYHALL_DEV_LOGIN=1, sign in as reader_00001, or as {EDITOR}, the editor."
        )

    def social(
        self,
        people: Annotated[int, typer.Option(min=2, max=PEOPLE_MAX, help="How many people.")] = 500,
        creations: Annotated[
            int, typer.Option(min=0, max=CREATIONS_MAX, help="How many creations they have.")
        ] = 5000,
        random_seed: Annotated[
            int, typer.Option(min=0, max=2**31 - 1, help="The same one, the same graph.")
        ] = 1,
        yes: Yes = False,
        data_dir: DataDir = None,
    ) -> None:
        """Add people, what they published, and who follows, likes, comments and blocks whom."""
        config = self._shell.read_config(data_dir=data_dir)
        _require_development(config, WHY_NOT_SOCIAL, yes=yes)
        today = Clock().now().replace(hour=0, minute=0, second=0, microsecond=0)
        plan = SocialPlan(people, creations, random_seed, today)

        async def work(store: SocialSeedStore) -> None:
            if not yes and await store.has_members():
                raise typer.BadParameter(SIGNED_IN.format(WHY_NOT_SOCIAL))
            await SocialSeeding(store, on_progress=self._out.print).run(plan)

        with self._shell.said_plainly():
            self._shell.run_in_context(
                config, context=_social_store, work=work, new_loop=uvloop.new_event_loop,
                as_owner=True,
            )  # fmt: skip
        self._out.print(
            f"{people:,} people and {creations:,} creations are there. With PLAYHALL_DEV_LOGIN=1, "
            f"sign in as {USERNAME.format(0)}, who has most followers."
        )


@asynccontextmanager
async def _social_store(_: Config, dsn: str) -> AsyncIterator[SocialSeedStore]:
    async with SocialSeedStore.open(dsn) as store:
        yield store


def _require_development(config: Config, why: str, *, yes: bool) -> None:
    """Refuse a database of its own, which may be in real use, unless that is allowed."""
    if config.database_url is not None and not yes:
        raise typer.BadParameter(
            f"{why}, and PLAYHALL_DATABASE_URL names a database that may be in real use; add --yes "
            "if that is what you want."
        )


async def require_only_guests(context: SeedContext) -> None:
    """Refuse a database in which somebody has an account to come back to."""
    if await context.accounts.has_members():
        raise typer.BadParameter(SIGNED_IN.format(WHY))
