"""`playhall content`: check that stored saves load, print the first root, give roles new keys."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console

from persistence.accounts.audit_log import CONSOLE
from persistence.accounts.sign_in import SignInStore
from persistence.database import Database
from persistence.packages.store import SignedRole, StoredPackage
from persistence.rls import RlsDatabase
from persistence.sealing import Seal
from protocol.codec import validate
from protocol.errors import InvalidField
from protocol.packages import PackagePath
from server.app import App
from server.config import Config
from server.core.clock import Clock
from server.core.tasks import Tasks
from server.domains.interfaces import UnloadableSaves
from server.domains.people.accounts.sealed import require_keys
from server.domains.progression.packages.service import PackageService, make_service
from server.domains.progression.packages.settings import PackageSettings
from server.domains.services import Services
from server.ops.shell import DataDir, Shell

T = TypeVar("T")

ROLES: Final[dict[str, SignedRole]] = {
    "root": "root",
    "targets": "targets",
    "snapshot": "snapshot",
    "timestamp": "timestamp",
}

Which = Annotated[str | None, typer.Argument(help="Id of a package; every draft if omitted.")]
Role = Annotated[str, typer.Argument(help=f"{', '.join(ROLES)}.")]


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the operator's commands to a command line."""
    commands = _Commands(shell)
    content = typer.Typer(no_args_is_help=True, help="Check and sign content packages.")
    content.command()(commands.check)
    content.command()(commands.root)
    content.command("rotate-key")(commands.rotate_key)
    app.add_typer(content, name="content")


class _Commands:
    """The commands; a mistake ends with status 1 and a sentence."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def check(self, package_id: Which = None, data_dir: DataDir = None) -> None:
        """Check that stored saves load under packages; status 1 if some would not."""

        async def work(
            service: PackageService,
        ) -> list[tuple[StoredPackage, list[UnloadableSaves]]]:
            found = await _packages(service, package_id)
            return [(each, list(await service.find_unloadable_saves(each))) for each in found]

        checked = self._in_context(work, data_dir)
        for package, broken in checked:
            name = f"{package.name} {package.version} ({package.channel}, {package.locale})"
            self._out.print(f"{name}: {'saves would not load' if broken else 'ok'}")
            for each in broken:
                self._out.print(
                    f"  schema version {each.schema_version}: {each.saves} saves: {each.reason}"
                )
        if not checked:
            self._out.print("There are no drafts.")
        if any(broken for _, broken in checked):
            raise typer.Exit(1)

    def root(self, data_dir: DataDir = None) -> None:
        """Print the first root of the signed metadata, for clients to ship with."""
        typer.echo(self._in_context(lambda service: service.read_root(), data_dir).decode())

    def rotate_key(self, role: Role, data_dir: DataDir = None) -> None:
        """Give a role of the signed metadata a new key; clients follow by themselves."""

        async def work(service: PackageService) -> str:
            if role not in ROLES:
                raise InvalidField(f"There is no role {role!r}; there are {', '.join(ROLES)}.")
            return await service.rotate_key(ROLES[role], actor=CONSOLE)

        self._out.print(f"The key of {role} is {self._in_context(work, data_dir)} from now on.")

    def _in_context(
        self, work: Callable[[PackageService], Coroutine[Any, Any, T]], data_dir: DataDir
    ) -> T:
        config = self._shell.read_config(data_dir=data_dir)
        with self._shell.said_plainly():
            return self._shell.run_in_context(config, context=_context, work=work)


async def _packages(service: PackageService, package_id: str | None) -> list[StoredPackage]:
    if package_id is None:
        return await service.drafts()
    path = validate(PackagePath, {"package_id": package_id})
    return [await service.read(path.package_id)]


@asynccontextmanager
async def _context(config: Config, dsn: str) -> AsyncIterator[PackageService]:
    """Wire a server that is never started: whether saves load, the domain of saves says."""
    async with await Database.open(dsn) as database, Tasks() as tasks:
        rls = RlsDatabase(Database.unopened())
        services = Services(config, database, rls, "console", Clock(), tasks, {})
        App(services)
        await require_keys(services.interfaces.get(Seal), SignInStore(database))
        yield make_service(services, services.settings(PackageSettings), changed=_nothing)


async def _nothing() -> None:
    """Nodes notice by themselves."""
