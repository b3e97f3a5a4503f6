"""`playhall epoch bots` and `playhall epoch voters`: bots and voters to rehearse a day with.

Each prints one token a line, and nothing else, so that the output is a file for
`playhall loadtest epoch`.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import date, timedelta
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import typer

from persistence.accounts.audit_log import CONSOLE
from persistence.accounts.store import AccountStore
from persistence.bots.store import BotStore
from persistence.bots.tokens import BotTokenStore
from persistence.bots.wallets import WalletStore
from persistence.epochs.steps import SettlementStore
from persistence.epochs.store import EpochStore
from persistence.rls import open_with_rls
from protocol.accounts import Tokens
from protocol.bots import BotTaken, NewBot, NewBotToken
from protocol.epochs import EpochNotFound
from protocol.errors import NotFound
from protocol.ids import BotId, UserId
from server.config import Config
from server.core.clock import Clock
from server.core.settings import read_settings
from server.domains.compete.bots.drafts import draft_bot, draft_token
from server.domains.compete.bots.rules import BOTS_MAX, TOKENS_MAX, WALLETS_MAX, require_owner
from server.domains.compete.epochs.phases import day_at, day_times
from server.domains.compete.epochs.steps import require_profiles
from server.domains.people.accounts.keys import SigningKeys
from server.domains.people.accounts.service import TokenIssuer, TokenLifetimes
from server.domains.people.accounts.settings import AccountSettings
from server.domains.services import build_seal
from server.ops.shell import DataDir, Shell

CAST_MAX: Final = 10_000
DAYS_AHEAD_MAX: Final = 1_000
LEFT_MIN: Final = timedelta(minutes=30)  # that a live day must have left, in real time
BEGUN_WITHIN_S: Final = 15.0  # a node that is running begins a day whose time has come
LOOK_EVERY_S: Final = 0.2
WHY: Final = "rehearsal"
# No contract of anybody's: a chain that developers use, and an address that is easy to recognise.
CHAIN_ID: Final = 31_337
CONTRACT: Final = f"0x{'7e57':0>40}"

Count = Annotated[int, typer.Argument(min=1, max=CAST_MAX, help="How many.")]
Live = Annotated[
    bool, typer.Option("--live", help="Move the epochs' clock to a live day if necessary.")
]
Speed = Annotated[
    float | None,
    typer.Option(min=0.001, max=100_000, help="With --live: epochs' seconds in a real second."),
]
Yes = Annotated[
    bool, typer.Option("--yes", help="Allow this on a database other than the bundled one.")
]


class RehearsalContext(NamedTuple):
    """What the commands work with."""

    accounts: AccountStore
    wallets: WalletStore
    bots: BotStore
    tokens: BotTokenStore
    days: EpochStore
    settlement: SettlementStore
    issuer: TokenIssuer
    clock: Clock


class GuestOwner(NamedTuple):
    """A guest with a test wallet."""

    tokens: Tokens
    address: str

    @property
    def user_id(self) -> UserId:
        """Whose account it is."""
        return UserId(self.tokens.user_id)


# Makes so many bots or voters, and prints a token of each.
Make: TypeAlias = Callable[[RehearsalContext, int], Coroutine[Any, Any, None]]


def add_rehearsal_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands that make bots and voters to `playhall epoch`."""
    bots = "For rehearsals: register test bots and print a token of each for claims and votes."
    voters = "For rehearsals: create guests with a test wallet and print an access token of each."
    app.command("bots", help=bots)(_command(shell, _make_bots))
    app.command("voters", help=voters)(_command(shell, _make_voters))


def _command(shell: Shell, make: Make) -> Callable[..., None]:
    """Write a command; a mistake ends with status 1 and a sentence."""

    def run(
        count: Count,
        live: Live = False,
        speed: Speed = None,
        yes: Yes = False,
        data_dir: DataDir = None,
    ) -> None:
        async def work(context: RehearsalContext) -> None:
            await _prepare(context, live=live, speed=speed)
            await make(context, count)

        config = shell.read_config(data_dir=data_dir)
        if config.database_url is not None and not yes:
            raise typer.BadParameter(
                "this makes test accounts and bots, for rehearsals only, and PLAYHALL_DATABASE_URL "
                "names a database that may be in real use; add --yes if that is what you want."
            )
        with shell.said_plainly():
            shell.run_in_context(config, context=_context, work=work)

    return run


async def _make_voters(context: RehearsalContext, count: int) -> None:
    for _ in range(count):
        typer.echo((await _person(context)).tokens.access_token)


async def _make_bots(context: RehearsalContext, count: int) -> None:
    """Register bots under the first numbers that are free."""
    number = 0
    for made in range(count):
        if made % BOTS_MAX == 0:
            owner = await _person(context)
        bot_id, number = await _register(context, owner, after=number)
        await context.bots.set_owner(bot_id, owner.address, actor=CONSOLE, reason=WHY)
        wanted = NewBotToken(label=WHY, scopes={"claim", "vote", "read"})
        token, draft = draft_token(wanted, bot_id, now=context.clock.now())
        await context.tokens.add(owner.user_id, draft, require_owner, at_most=TOKENS_MAX)
        typer.echo(token)


async def make_live(days: EpochStore, *, speed: float | None) -> None:
    """Move the clock of epochs into a day that is live for a while, unless it is in one."""
    kept = await days.read_active_profile()
    if kept is None:
        raise NotFound("No profile is active, so no day can be created; activate one first.")
    now, cadence = await days.now(), kept.profile.cadence
    first = await _first_playable(days, day_at(now, cadence))
    wanted = LEFT_MIN * (speed or 1.0)  # a clock that runs faster uses a day up sooner
    for ahead in range(DAYS_AHEAD_MAX):
        times = day_times(first + timedelta(days=ahead), cadence)
        if now < times.freeze_at - min(wanted, (times.freeze_at - times.starts_at) / 2):
            if speed is not None or now < times.starts_at:
                await days.set_clock(max(now, times.starts_at), speed=speed or 1.0)
            return
    raise NotFound(f"None of the next {DAYS_AHEAD_MAX} days can be played; wait.")


async def wait_until_live(days: EpochStore, settlement: SettlementStore) -> bool:
    """Wait until a running node has begun the day; says whether it takes claims and votes.

    Without a node there is nothing to wait for: one that starts begins the day.
    """
    until = time.monotonic() + BEGUN_WITHIN_S
    while await settlement.read_leader() is not None:
        with suppress(EpochNotFound):  # the first of all days is not made yet
            day = await days.read_day(None)
            if day.phase == "live" and day.starts_at <= await days.now() < day.freeze_at:
                return True
        if time.monotonic() > until:
            return False
        await asyncio.sleep(LOOK_EVERY_S)
    return True


async def _first_playable(days: EpochStore, today: date) -> date:
    """Give today, or the day after the last one that is over already."""
    newest = await days.list_days(before=date.max, limit=1)
    if newest and newest[0].phase not in ("prep", "live"):
        return max(today, newest[0].day + timedelta(days=1))
    return today


async def _prepare(context: RehearsalContext, *, live: bool, speed: float | None) -> None:
    if live:
        await require_profiles(context.days)
        await make_live(context.days, speed=speed)
        if not await wait_until_live(context.days, context.settlement):
            typer.echo(
                "The day is not live yet; look for the reason in the server's log.", err=True
            )
    typer.echo(
        "For rehearsals only: anyone who has one of these tokens can use its account.", err=True
    )


async def _person(context: RehearsalContext) -> GuestOwner:
    tokens = await context.issuer.add_person(
        context.accounts.add_guest, method="guest", display_name=None
    )
    address = f"0x{secrets.token_hex(20)}"
    await context.wallets.link(UserId(tokens.user_id), address, at_most=WALLETS_MAX)
    return GuestOwner(tokens, address)


async def _register(
    context: RehearsalContext, owner: GuestOwner, *, after: int
) -> tuple[BotId, int]:
    """Register a bot under the next number that is free; of another run's, none is touched."""
    while True:
        after += 1
        new = NewBot(
            slug=f"test_bot_{after}",
            chain_id=CHAIN_ID,
            contract_address=CONTRACT,
            token_id=str(after),
        )
        try:
            draft = draft_bot(new, owner.user_id)
            return (await context.bots.add(draft, at_most=BOTS_MAX)).bot_id, after
        except BotTaken:
            continue


@asynccontextmanager
async def _context(config: Config, dsn: str) -> AsyncIterator[RehearsalContext]:
    seal, clock = build_seal(config), Clock()
    settings = read_settings(AccountSettings)
    async with open_with_rls(dsn) as (database, rls):
        accounts = AccountStore(database)
        keys = SigningKeys(accounts, now=clock.monotonic, seal=seal if config.secret_keys else None)
        await keys.start()
        lifetimes = TokenLifetimes(settings.access_token_s, settings.refresh_token_s)
        yield RehearsalContext(
            accounts=accounts,
            wallets=WalletStore(database, rls),
            bots=BotStore(database, rls),
            tokens=BotTokenStore(database),
            days=EpochStore(database),
            settlement=SettlementStore(database),
            issuer=TokenIssuer(keys=keys, clock=clock, lifetimes=lifetimes),
            clock=clock,
        )
