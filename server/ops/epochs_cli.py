"""`playhall epoch status|advance|settle|verify|clock|profiles|import|mirror`."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console

from persistence.accounts.audit_log import CONSOLE
from persistence.bots.store import BotStore
from persistence.epochs.imports import ImportStore
from persistence.epochs.steps import SettlementStore
from persistence.epochs.store import DayKey, EpochDay, EpochStore, NewDay, StoredEpochProfile
from persistence.rls import open_with_rls
from protocol.codec import describe_validation_error, validate
from protocol.epoch_profile import EpochProfile
from protocol.errors import InvalidField, NotFound
from server.config import Config
from server.core.clock import Clock, wire_time
from server.core.settings import read_settings
from server.domains.compete.blockchain.domain import build_chain_follower
from server.domains.compete.blockchain.settings import BlockchainSettings
from server.domains.compete.epochs.imports import FIRST_YEAR, LAST_YEAR, parse_days
from server.domains.compete.epochs.phases import day_times
from server.domains.compete.epochs.rules import validate_profile
from server.domains.compete.epochs.scheduler import Scheduler
from server.domains.compete.epochs.steps import EpochSteps, require_profiles
from server.domains.compete.epochs.verification import DayVerification
from server.ops.mirror_cli import add_mirror_command
from server.ops.object_store import configured_store
from server.ops.rehearsal_cli import add_rehearsal_commands
from server.ops.shell import DataDir, Shell

T = TypeVar("T")

LISTED_MAX: Final = 30

WhichDay = Annotated[str, typer.Argument(help="A date, such as 2026-02-12; or `current`.")]


class EpochsContext(NamedTuple):
    """What the commands work with."""

    days: EpochStore
    store: SettlementStore
    imports: ImportStore
    steps: EpochSteps
    scheduler: Scheduler
    verification: DayVerification


def add_epoch_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands about days of competition to a command line."""
    commands = _Commands(shell)
    epoch = typer.Typer(no_args_is_help=True, help="Manage days of competition.")
    epoch.command()(commands.status)
    epoch.command()(commands.advance)
    epoch.command()(commands.settle)
    epoch.command()(commands.verify)
    epoch.command()(commands.clock)
    epoch.command()(commands.profiles)
    epoch.command("import")(commands.import_days)
    add_mirror_command(epoch, shell, key_of=_key)
    add_rehearsal_commands(epoch, shell)
    app.add_typer(epoch, name="epoch")


class _Commands:
    """The commands; each ends with status 1 where something is not as it must be."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def status(self, data_dir: DataDir = None) -> None:
        """Show the latest days, the clock, and which node advances them."""

        async def work(context: EpochsContext) -> tuple[datetime, str | None, list[EpochDay]]:
            days = await context.days.list_days(before=date.max, limit=LISTED_MAX)
            return await context.days.now(), await context.store.read_leader(), days

        now, leader, days = self._in_context(work, data_dir)
        self._out.print(f"now {wire_time(now)}, advanced by {leader or 'no node at present'}")
        for day in days:
            self._out.print(
                f"{day.day}  {day.phase:8}  {day.version} events  {day.profile_key}  {day.epoch_id}"
            )

    def advance(self, data_dir: DataDir = None) -> None:
        """Take every step that is due, now."""

        async def work(context: EpochsContext) -> int:
            await require_profiles(context.days)
            taken = await context.scheduler.tick()
            await context.store.record_rollover(CONSOLE, steps=taken)
            return taken

        steps = self._in_context(work, data_dir)
        self._out.print(f"{steps} step{'' if steps == 1 else 's'} taken.")

    def settle(
        self,
        day: WhichDay,
        verify: Annotated[
            bool, typer.Option("--verify", help="Only recompute the result and compare.")
        ] = False,
        reason: Annotated[str, typer.Option(help="Put on record.")] = "",
        data_dir: DataDir = None,
    ) -> None:
        """Settle a settled day again; earlier results stay readable."""
        if not verify and not reason:
            raise typer.BadParameter("--reason: required, for the audit log; or use --verify.")

        async def work(context: EpochsContext) -> list[str]:
            epoch_id = (await context.days.read_day(_key(day))).epoch_id
            if verify:
                return await context.steps.verify(epoch_id)
            number = await context.steps.recompute(epoch_id, by=CONSOLE, reason=reason)
            self._out.print(f"{day}: result {number} is in force.")
            return []

        self._report(day, self._in_context(work, data_dir), verified=verify)

    def verify(self, day: WhichDay, data_dir: DataDir = None) -> None:
        """Check a day against its events: versions, slots, digest, result, payouts."""

        async def work(context: EpochsContext) -> list[str]:
            return await context.verification.check(
                (await context.days.read_day(_key(day))).epoch_id
            )

        self._report(day, self._in_context(work, data_dir), verified=True)

    def clock(
        self,
        at: Annotated[str | None, typer.Option(help="New time, such as 2026-02-12T10:00Z.")] = None,
        speed: Annotated[
            float | None,
            typer.Option(
                min=0.001, max=100_000, help="How many seconds pass in a real second; 1 by default."
            ),
        ] = None,
        real: Annotated[bool, typer.Option("--real", help="Return to real time.")] = False,
        data_dir: DataDir = None,
    ) -> None:
        """Show the clock of days, which all nodes share, or move it for rehearsals."""
        if real and (at is not None or speed is not None):
            raise typer.BadParameter("--real: cannot be combined with --at or --speed.")

        async def work(context: EpochsContext) -> datetime:
            if real:
                await context.days.reset_clock()
            elif at is not None or speed is not None:
                moment = await context.days.now() if at is None else _moment(at)
                await context.days.set_clock(moment, speed=speed or 1.0)
            return await context.days.now()

        self._out.print(f"It is {wire_time(self._in_context(work, data_dir))} for epochs.")

    def profiles(
        self,
        put: Annotated[
            Path | None, typer.Option(help="Store the profile in this JSON file under --key.")
        ] = None,
        key: Annotated[str, typer.Option(help="Such as daily-v2.")] = "",
        activate: Annotated[str, typer.Option(help="Create new days with this profile.")] = "",
        data_dir: DataDir = None,
    ) -> None:
        """List profiles, add one, or choose the one for new days."""
        if put is not None and not key:
            raise typer.BadParameter("--key: name the profile, such as daily-v2.")
        profile = None if put is None else self._read_profile(put)

        async def work(context: EpochsContext) -> list[str]:
            if profile is not None:
                await context.days.save_profile(key, profile)
            for one in await context.days.list_profiles():
                if one.profile_key == activate:
                    validate_profile(one.profile)
            if activate:
                await context.days.activate_profile(activate)
            return [_profile_line(one) for one in await context.days.list_profiles()]

        for line in self._in_context(work, data_dir):
            self._out.print(line)

    def import_days(
        self,
        file: Annotated[Path, typer.Argument(help="File of JSON lines: slot_update and activity.")],
        profile: Annotated[str, typer.Option(help="Profile with which the days were played.")],
        data_dir: DataDir = None,
    ) -> None:
        """Import days from another system; each day is imported completely or not at all."""

        async def work(context: EpochsContext) -> list[str]:
            kept = {one.profile_key: one for one in await context.days.list_profiles()}.get(profile)
            if kept is None:
                raise NotFound(f"There is no profile {profile!r}; `playhall epoch profiles`.")
            now, bots, written_days = (
                await context.days.now(),
                await context.imports.list_bots(),
                [],
            )
            # What is no UTF-8 comes through, for its line to be named.
            with file.open(encoding="utf-8", errors="surrogateescape") as lines:
                for found in parse_days(lines, kept.profile, bots, now=now):
                    new = _day(found.day, kept)
                    epoch_id = await context.imports.add_day(new, found.lines)
                    written = f"{len(found.lines)} events" if epoch_id else "is there already"
                    written_days.append(f"{found.day}: {written}")
            return written_days

        for line in self._in_context(work, data_dir):
            self._out.print(line)

    # ------------------------------------------------------------------ details

    def _report(self, day: str, found: list[str], *, verified: bool) -> None:
        for problem in found:
            self._out.print(problem)
        if verified:
            self._out.print(
                f"{day}: {len(found)} differences." if found else f"{day}: all checks passed."
            )
        if found:
            raise typer.Exit(1)

    def _read_profile(self, path: Path) -> EpochProfile:
        with self._shell.said_plainly():
            try:
                profile = validate(EpochProfile, orjson.loads(path.read_bytes()))
            except orjson.JSONDecodeError as error:
                raise InvalidField(f"{path} is not JSON: {error}.") from None
            validate_profile(profile)
            return profile

    def _in_context(
        self, work: Callable[[EpochsContext], Coroutine[Any, Any, T]], data_dir: DataDir
    ) -> T:
        config = self._shell.read_config(data_dir=data_dir)
        with self._shell.said_plainly():
            try:
                return self._shell.run_in_context(config, context=_context, work=work)
            except ValidationError as error:
                problem = describe_validation_error(error).message
                raise InvalidField(f"A profile cannot be used here. {problem}") from error


@asynccontextmanager
async def _context(config: Config, dsn: str) -> AsyncIterator[EpochsContext]:
    settings = read_settings(BlockchainSettings)
    objects = configured_store(config)
    objects.open()
    async with open_with_rls(dsn) as (database, rls):
        days, store = EpochStore(database), SettlementStore(database)
        steps = EpochSteps(
            store,
            days,
            owners_at=BotStore(database, rls).find_owners_at,
            owners_known=build_chain_follower(
                settings, database=database, clock=Clock()
            ).knows_owners_at,
            put=objects.put,
            node=CONSOLE,
        )
        scheduler = Scheduler(days, store, steps, node=CONSOLE)
        verification = DayVerification(days, store, steps)
        yield EpochsContext(days, store, ImportStore(database), steps, scheduler, verification)


def _day(day: date, kept: StoredEpochProfile) -> NewDay:
    times = day_times(day, kept.profile.cadence)
    return NewDay(
        day, kept.profile_id, times.starts_at, times.freeze_at, times.ends_at, kept.profile
    )


def _profile_line(one: StoredEpochProfile) -> str:
    try:
        said = f"{one.profile.slots.count} slots"
    except ValidationError as error:
        said = f"cannot be used here: {describe_validation_error(error).message}"
    active = "  active" if one.is_active else ""
    return f"{one.profile_key}  version {one.version}  {said}{active}"


def _key(day: str) -> DayKey:
    if day == "current":
        return None
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise InvalidField(f"{day!r} is not a date; write one such as 2026-02-12.") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidField("--at: write a time such as 2026-02-12T10:00Z.") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InvalidField(f"--at: send a year from {FIRST_YEAR} to {LAST_YEAR}.")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
