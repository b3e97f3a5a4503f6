"""`playhall supabase import` and `playhall supabase export`: moving from a project, and back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from persistence.accounts.sign_in import SignInStore
from persistence.accounts.store import AccountStore
from persistence.database import Database
from persistence.files.parts import PartStore
from persistence.files.store import FileStore
from persistence.images.store import ImageStore
from persistence.objects import ObjectStorage
from persistence.rls import ANONYMOUS_ROLE, RlsDatabase
from persistence.social.verification import SocialVerification
from persistence.supabase.export import SupabaseExport
from persistence.supabase.source import SupabaseSource
from persistence.supabase.target import ImportTarget
from server.config import Config
from server.core.clock import Clock
from server.core.extras import IMAGES
from server.core.settings import read_settings
from server.domains.content.files.model import parse_buckets
from server.domains.content.files.settings import FileSettings
from server.domains.content.files.uploads import UploadLimits, Uploads, upload_limiter
from server.domains.content.images.service import Images
from server.domains.content.images.settings import ImageSettings
from server.domains.people.accounts.keys import ScopedTokens, SigningKeys
from server.domains.people.accounts.sealed import require_keys
from server.domains.services import build_seal
from server.ops.shell import DataDir, Shell
from server.ops.supabase_export import write_export
from server.ops.supabase_import import AccountImport, FileImport

REFUSALS_SHOWN: Final = 50

Source = Annotated[
    str,
    typer.Argument(
        help="The project's database, or one that its dump was restored into: postgresql://…",
        envvar="SUPABASE_DB_URL",
        show_envvar=True,
    ),
]
Files = Annotated[
    Path | None,
    typer.Option(
        help="A folder with the files of its storage, <bucket>/<path>.",
        exists=True,
        file_okay=False,
    ),
]
Target = Annotated[Path, typer.Argument(help="A folder, which must not be there yet.")]
Url = Annotated[
    str, typer.Option("--url", help="The project's URL, which links to files get: https://….")
]


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands about Supabase projects to a command line."""
    commands = _Commands(shell)
    group = typer.Typer(no_args_is_help=True, help="Move from a Supabase project, and back.")
    group.command("import")(commands.import_project)
    group.command("export")(commands.export_project)
    app.add_typer(group, name="supabase")


class _Refusals:
    """What was left out: the first of it is shown, the rest is counted."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self.count = 0

    def __call__(self, what: str, why: str) -> None:
        self.count += 1
        if self.count <= REFUSALS_SHOWN:
            self._out.print(f"Left out: {what}: {why}.")


class _Commands:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def import_project(self, source: Source, files: Files = None, data_dir: DataDir = None) -> None:
        """Import accounts with their passwords, the tables of the social platform, and files.

        What is here already stays as it is. Stop the server first.
        """
        config = self._shell.read_config(data_dir=data_dir)
        refusals = _Refusals(self._out)
        with self._shell.said_plainly():
            self._shell.run_in_context(
                config,
                context=_owner_address,
                work=lambda dsn: self._import_rows(config, source, dsn, refusals),
                as_owner=True,
            )
            self._shell.run_in_context(
                config,
                context=partial(_file_import, refused=refusals),
                work=lambda opened: self._import_files(*opened, source, files),
                as_owner=True,
            )
        self._out.print(f"{refusals.count} things were left out.")

    async def _import_rows(
        self, config: Config, source: str, dsn: str, refusals: _Refusals
    ) -> None:
        seal = build_seal(config)
        async with await Database.open(dsn, embedded=True) as database:
            await require_keys(seal, SignInStore(database))
        async with (
            SupabaseSource.open(source) as project,
            ImportTarget.open(dsn, refusals) as target,
        ):
            importing = AccountImport(project, target, seal=seal, refused=refusals)
            await importing.run()
        for name, count in importing.counts.items():
            self._out.print(f"{name}: {count}")

    async def _import_files(
        self,
        importing: FileImport,
        verification: SocialVerification,
        source: str,
        folder: Path | None,
    ) -> None:
        if folder is not None:
            async with SupabaseSource.open(source) as project:
                self._out.print(f"files: {await importing.run(project, folder)}")
        async for _ in verification.check_counters(repair=True):
            pass

    def export_project(self, folder: Target, url: Url = "", data_dir: DataDir = None) -> None:
        """Write accounts, the tables of the social platform, and files for a Supabase project.

        Load `data.sql` with psql into a project that has the tables and no rows.
        """
        config = self._shell.read_config(data_dir=data_dir)
        with self._shell.said_plainly():
            self._shell.run_in_context(
                config,
                context=_owner_address,
                work=lambda dsn: self._export(config, dsn, folder, url.rstrip("/")),
                as_owner=True,
            )

    async def _export(self, config: Config, dsn: str, folder: Path, url: str) -> None:
        seal = build_seal(config)
        objects = ObjectStorage(config.files_url, folder=config.data_dir / "files")
        objects.open()
        async with await Database.open(dsn, embedded=True) as database:
            await require_keys(seal, SignInStore(database))
        async with SupabaseExport.open(dsn) as export:
            counts = await write_export(export, objects, seal, folder, url=url)
        for name, count in counts.items():
            self._out.print(f"{name}: {count}")


@asynccontextmanager
async def _owner_address(_: Config, dsn: str) -> AsyncIterator[str]:
    yield dsn


@asynccontextmanager
async def _file_import(
    config: Config, dsn: str, *, refused: _Refusals
) -> AsyncIterator[tuple[FileImport, SocialVerification]]:
    clock, settings = Clock(), read_settings(FileSettings)
    objects = ObjectStorage(config.files_url, folder=config.data_dir / "files")
    objects.open()
    buckets = parse_buckets(settings.files_buckets)
    folder, images = config.data_dir / "uploads", read_settings(ImageSettings)
    async with (
        await Database.open(dsn, embedded=True) as database,
        await Database.open(dsn, embedded=True, role=ANONYMOUS_ROLE) as anonymous,
    ):
        rls = RlsDatabase(anonymous)
        keys = SigningKeys(AccountStore(database), now=clock.monotonic, seal=None)
        files = FileStore(database, rls)
        uploads = Uploads(
            store=files,
            objects=objects,
            tokens=ScopedTokens("upload", keys=keys, clock=clock, lifetime_s=1),
            clock=clock,
            folder=folder,
            limits=UploadLimits(
                settings.upload_url_s,
                settings.files_bytes_per_user,
                upload_limiter(settings.uploads_per_minute),
            ),
            buckets=buckets,
            images=Images(
                store=ImageStore(database, rls),
                objects=objects,
                folder=folder,
                settings=images,
                is_on=images.enabled and IMAGES.is_installed,
                publish_event=lambda _: None,
            ),
        )
        importing = FileImport(
            files=files,
            parts=PartStore(database),
            uploads=uploads,
            buckets=buckets,
            clock=clock,
            refused=refused,
        )
        yield importing, SocialVerification(database)
