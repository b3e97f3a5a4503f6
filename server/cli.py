"""`playhall`: serve, migrate, play, load test, export, spec.

Errors are sentences with a remedy; a traceback is a bug.
"""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape

from migrations import runner
from persistence.dsn import EXAMPLE_URL, find_dsn_problem
from persistence.embedded import EmbeddedPostgres
from persistence.errors import ArchiveDamaged, StartRefused, log_without_traceback
from persistence.private_files import make_folder, restrict_to_owner
from persistence.signals import StoppedBySecondSignal, stop_on_signals
from protocol.errors import PlayhallError, Unavailable
from server.config import Config
from server.core.addresses import socket_url
from server.core.settings import (
    SettingsReader,
    nearest_variable,
    read_settings,
    unread_variables,
    variable_names,
)
from server.domains.settings import read_included
from server.gamekit.checking import RulesetRefused
from server.ops.shell import DataDir, Shell
from server.terminal import (
    PROGRAM,
    UNWRITABLE,
    command_name,
    find_unreadable_argument,
    flush_streams,
    prepare_streams,
    spell_commands,
)

log = logging.getLogger(__name__)

app = typer.Typer(
    help="A realtime game-session server that never loses a confirmed move.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

# Look for garbage in cycles less often: imports make none, and serving hardly any.
GARBAGE_OBJECTS = 50_000

# Where clients look unless they are given another address.
HERE = "http://127.0.0.1:8080"

# What is ours in the data folder; see docs/operations/deployment.md.
KEPT_IN_DATA_DIR = frozenset(
    {"postgres", "files", "uploads", "mail", "node", "secret.key", "workers", "valkey"}
)

Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from server.version import VERSION

        out.print(f"playhall {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    port: Port = None,
    host: str | None = None,
    data_dir: DataDir = None,
    reload_rulesets: Annotated[
        bool, typer.Option("--reload-rulesets", help="Load rulesets again when they change.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes behind the one port, each a node.")
    ] = None,
    worker: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve: the bundled database is started and migrated first, unless you name another."""
    config, settings = _read_settings(
        port=port,
        host=host,
        data_dir=data_dir,
        reload_rulesets=reload_rulesets or None,
        workers=workers,
    )
    _log_to_stderr(config.log_level, config.log_format)
    # While the database starts, half of what there is to import is imported.
    Thread(target=import_module, args=("server.serving",), daemon=True).start()
    with plain_errors():
        if config.reload_rulesets:
            from server.ops.reload_rulesets import require_development

            require_development(config)
        titles = _usable_extensions(config, settings)
    try:
        with plain_errors(), reach_database(config, may_make=True) as database:
            runner.upgrade(database.owner)
            _upgrade_titles(database.owner, titles)
            if config.workers > 1 and worker is None:
                _supervise(config)
            else:
                _serve(config, database, settings, titles, worker)
    except StoppedBySecondSignal as stopped:
        # The bundled database is stopped; what the loop had still to do is left undone.
        err.print(
            "[red]playhall:[/red] Stopped immediately. Everything that was confirmed is saved."
        )
        sys.stderr.flush()
        os._exit(stopped.status)


def _log_to_stderr(level: str, form: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    if form == "json":
        from server.core.json_logs import JsonFormatter

        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())
    for chatty in ("picows", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("asyncpg.pool").addFilter(log_without_traceback)


def _serve(
    config: Config,
    database: "ReachableDatabase",
    settings: SettingsReader,
    titles: Sequence[Any],
    worker: int | None,
) -> None:
    gc.disable()  # until it serves: starting makes no garbage that is worth the searches

    import uvloop

    from server.rulesets import find_rulesets
    from server.serving import serve as serve_until_stopped

    work = serve_until_stopped(
        config,
        database.serving,
        rulesets=find_rulesets(*config.ruleset_directories()),
        settings=settings,
        titles=[title.build for title in titles],
        ready=_welcome,
        keep_database=database.keep,
        worker=worker,
    )
    loop = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    try:
        loop.run(work)
    except StoppedBySecondSignal:
        raise  # without closing the loop, which would wait for its tasks
    except BaseException:
        loop.close()
        raise
    loop.close()


def _supervise(config: Config) -> None:
    """Run the workers, each of which is `playhall serve` with these settings."""
    from server import workers

    given = config.redis_url is not None and bool(config.redis_url.get_secret_value())
    valkey = None if given else workers.valkey_socket(config.data_dir)
    reserved, port = workers.reserve_port(config.host, config.port)
    environment = {
        **os.environ,
        "PLAYHALL_DATA_DIR": str(config.data_dir),
        "PLAYHALL_HOST": config.host,
        "PLAYHALL_PORT": str(port),
        "PLAYHALL_RELOAD_RULESETS": str(config.reload_rulesets),
        "PLAYHALL_WORKERS": "1",
        **({"PLAYHALL_REDIS_URL": f"unix://{valkey}"} if valkey else {}),
    }
    url = config.public_url or socket_url(
        "https" if config.tls_certificate else "http", *reserved[0].getsockname()[:2]
    )

    async def run() -> None:
        supervisor = workers.Supervisor(
            environment=environment, arguments=(), ready=lambda: _welcome(url)
        )
        await supervisor.run(config.workers, valkey)

    try:
        asyncio.run(run())
    except workers.WorkerFailed as failed:
        fail(f"{str(failed).capitalize()} before it served; see above.")
    finally:
        for each in reserved:
            each.close()


def _usable_extensions(config: Config, settings: SettingsReader) -> Sequence[Any]:
    """Find what is configured besides our own; raise for what cannot be used.

    Returns the title packages. This is done before the database is touched.
    """
    if not (config.rulesets_path or config.titles_path):
        return ()
    from server.rulesets import find_rulesets

    rulesets = find_rulesets(*config.ruleset_directories())
    titles = _titles(config)
    if titles:
        from server.ops.title_check import check_titles

        check_titles(config, settings, rulesets, titles)
    return titles


def _titles(config: Config) -> Sequence[Any]:
    """Find the title packages, if any are configured: importing what finds them takes a while."""
    if not config.titles_path:
        return ()
    from server.rulesets import parse_folder_list
    from server.titles import find_titles

    return find_titles(*parse_folder_list(config.titles_path))


def _upgrade_titles(dsn: str, titles: Sequence[Any]) -> None:
    if titles:
        from migrations import packages

        packages.upgrade(dsn, [title.steps for title in titles])


def _welcome(url: str) -> None:
    try:
        _print_welcome(url)
    except (OSError, SystemExit):  # rich turns a broken pipe into an exit
        log.info("ready at %s", url)  # nobody reads the output, and clients may come all the same


def _print_welcome(url: str) -> None:
    me, there = command_name(), "" if url == HERE else f" --url {url}"
    for line in (
        f"[bold]Playhall[/bold] is ready at [bold]{url}[/bold]",
        f"  play in a terminal   {me} play{there}",
        f"  read the protocol    {url}/docs",
        f"  simulate players     {me} loadtest matches{there}",
        "  stop                 Ctrl+C",
    ):
        out.print(line, soft_wrap=True)
    sys.stdout.flush()


@app.command()
def migrate(
    to: Annotated[str, typer.Option(help="Revision to upgrade to.")] = "head",
    down: Annotated[str | None, typer.Option(help="Revision to downgrade to, or `base`.")] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Only show the current revision.")
    ] = False,
    remove: Annotated[
        str | None, typer.Option(help="Title package whose tables to drop, with their rows.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Downgrade without asking.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Upgrade or downgrade the database, or show its revision."""
    config, settings = _read_settings(data_dir=data_dir)
    goes_up = down is None and remove is None and not status
    with plain_errors():
        titles = _usable_extensions(config, settings) if goes_up else _titles(config)
    with plain_errors(), reach_database(config, may_make=goes_up) as database:
        dsn = database.owner
        if down is not None:
            if not yes:
                _ask_before_losing(runner.losses(dsn, down))
            runner.downgrade(dsn, down)
        elif goes_up:
            runner.upgrade(dsn, to)
        stands = runner.status(dsn)
        if remove is not None:
            _remove_title(dsn, titles, remove, yes=yes)
        elif goes_up and not stands.pending:
            _upgrade_titles(dsn, titles)
            # pgvector may have been installed since, and the server been upgraded.
            runner.choose_memory_search(dsn)
            runner.choose_event_form(dsn)
        pending = [*stands.pending, *_pending_of_titles(dsn, titles)]
    out.print(f"The database is at revision {stands.current or 'base'}.")
    if pending:
        out.print(f"Pending: {', '.join(pending)}. Run: {command_name()} migrate")


def _pending_of_titles(dsn: str, titles: Sequence[Any]) -> list[str]:
    if not titles:
        return []
    from migrations import packages

    return packages.pending(dsn, [title.steps for title in titles])


def _remove_title(dsn: str, titles: Sequence[Any], name: str, *, yes: bool) -> None:
    """Take a title package's steps back, once it is confirmed."""
    from migrations import packages

    steps = {title.name: title.steps for title in titles}
    if name not in steps:
        fail(
            f"There is no title package {name} in PLAYHALL_TITLES_PATH; its steps are needed: set "
            "it to the folder that contains the package."
        )
    if not yes:
        _ask_before_losing([f"every table of the title package {name}"])
    packages.downgrade(dsn, steps[name])
    out.print(f"Removed {name}.")


def _ask_before_losing(lost: list[str]) -> None:
    """Have it confirmed that rows go; without a terminal to ask at, refuse."""
    if not lost:
        return
    err.print("This permanently deletes:", soft_wrap=True)
    for each in lost:
        err.print(f"  {each}", soft_wrap=True)
    if not sys.stdin or not sys.stdin.isatty():
        fail("Nothing was changed. Make a backup (playhall backup FILE), then add --yes.")
    if not typer.confirm("Delete it?", err=True):
        fail("Nothing was changed.")


@app.command()
def backup(file: Path, data_dir: DataDir = None) -> None:
    """Dump the database to a new file. The dump contains secrets; store it accordingly."""
    from persistence.backup import count_archived, write_dump

    config = read_config(data_dir=data_dir)
    with plain_errors(), reach_database(config) as database:
        write_dump(database.owner, file)
        archived = count_archived(database.owner)
    out.print(f"wrote {file}", soft_wrap=True)
    out.print("Not included: the sealing keys (PLAYHALL_SECRET_KEYS or secret.key) and the files.")
    if archived:
        where = config.files_url or config.data_dir / "files"
        out.print(
            f"Among the files are the logs of {archived} archived games: {where}/archive.",
            soft_wrap=True,
        )


@app.command()
def restore(file: Path, data_dir: DataDir = None) -> None:
    """Restore a dump into an empty database: the bundled one in a new folder, or your own."""
    from persistence.backup import restore_dump

    config = read_config(data_dir=data_dir)
    if not file.is_file():  # before a database is made for it
        fail(f"There is no file {file}.")
    with plain_errors(), reach_database(config, may_make=True) as database:
        restore_dump(database.owner, file)
        stands = runner.status(database.owner)
    out.print(f"The database is at revision {stands.current}.")
    if stands.pending:
        out.print(f"Pending: {', '.join(stands.pending)}. Run: {command_name()} migrate")


@app.command()
def export(game: str, data_dir: DataDir = None) -> None:
    """Write a game's log to standard output, one JSON object per event."""
    from server.ops.export import export_game
    from server.ops.object_store import configured_store

    config = read_config(data_dir=data_dir)
    with plain_errors(), database_url(config) as dsn:
        objects = configured_store(config)
        asyncio.run(export_game(dsn, game, sys.stdout.buffer, objects=objects))


@app.command()
def spec(folder: Path = Path("docs")) -> None:
    """Write the AsyncAPI and OpenAPI documents into a folder."""
    from server.ops.documents import write_documents

    with plain_errors():
        for path in write_documents(folder):
            out.print(f"wrote {path}", markup=False)


@contextmanager
def plain_errors() -> Iterator[None]:
    """End the program with a sentence where something expected goes wrong."""
    try:
        yield
    except Unavailable as error:
        if error.message != Unavailable().message:  # which says what does not answer
            fail(error.message)
        fail("The database cannot be reached. Is it running, and is PLAYHALL_DATABASE_URL correct?")
    except (StartRefused, ArchiveDamaged, RulesetRefused, PlayhallError) as refused:
        fail(str(refused))
    except BrokenPipeError:
        raise  # whoever read the output has seen enough: the command ends without a word
    except OSError as error:
        fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.")


def fail(sentence: str) -> None:
    """Say why, and exit with status 1."""
    spelled = spell_commands(sentence, _ADDED.keys() | _HERE)
    err.print(f"[red]playhall:[/red] {escape(spelled)}", soft_wrap=True)
    raise typer.Exit(1)


def read_config(**overrides: object) -> Config:
    """Read the node's configuration; options given on the command line win.

    What `serve` would refuse is refused by every command, a domain's settings as well. A variable
    that looks like one of them and is none is named; `serve` does that once it knows all titles.
    """
    config, settings = _read_settings(**overrides)
    if not config.titles_path:
        known = {*variable_names(Config), *settings.variable_names()}
        for name in unread_variables(known):
            if (meant := nearest_variable(name, known)) is not None:
                err.print(
                    f"[yellow]playhall:[/yellow] {name} is set, but nothing reads it; "
                    f"did you mean {meant}?",
                    soft_wrap=True,
                )
    return config


def _read_settings(**overrides: object) -> tuple[Config, SettingsReader]:
    given = {name: value for name, value in overrides.items() if value is not None}
    with plain_errors():
        return read_settings(Config, **given), read_included()


class ReachableDatabase(NamedTuple):
    """A database that answers: the names of its two logins, and what keeps it up."""

    serving: str
    owner: str
    keep: Callable[[], Coroutine[Any, Any, None]] | None = None


@contextmanager
def database_url(config: Config) -> Iterator[str]:
    """Give the address of the database that there is, for a login that serves."""
    with reach_database(config) as database:
        yield database.serving


@contextmanager
def owner_url(config: Config) -> Iterator[str]:
    """Give the address of the database that there is, for the login that owns its tables."""
    with reach_database(config) as database:
        yield database.owner


@contextmanager
def reach_database(config: Config, *, may_make: bool = False) -> Iterator[ReachableDatabase]:
    """Give the database's addresses, with the bundled one running where none is configured.

    Raises `StartRefused` where there is none, unless one may be made. A signal that ends the
    program unwinds the block, so that the bundled one is stopped.
    """
    bundled = EmbeddedPostgres()
    with stop_on_signals():
        if may_make:
            if config.database_url is None:
                bundled.check_path(config.data_dir / "postgres")
            _make_folder(config.data_dir)
        if config.database_url is not None:
            dsn = config.database_url.get_secret_value()
            if problem := find_dsn_problem(dsn):
                fail(f"PLAYHALL_DATABASE_URL: {problem}; the format is {EXAMPLE_URL}")
            yield ReachableDatabase(dsn, dsn)
            return
        if not may_make and not bundled.has_cluster(config.data_dir / "postgres"):
            raise StartRefused(
                f"There is no Playhall data in {config.data_dir}. Name the folder that a server "
                "uses with --data-dir, or its database with PLAYHALL_DATABASE_URL; `playhall "
                "serve` creates a new one."
            )
        try:
            owner = bundled.start(config.data_dir / "postgres")
            yield ReachableDatabase(bundled.ensure_login(), owner, bundled.keep_running)
        finally:
            bundled.stop()


def _make_folder(data_dir: Path) -> None:
    try:
        make_folder(data_dir)
        restrict_to_owner(data_dir, ours=KEPT_IN_DATA_DIR)
    except OSError as error:
        raise StartRefused(
            f"The data folder {data_dir} cannot be used ({error.strerror}); choose another with "
            "--data-dir."
        ) from error


def main() -> None:
    """Run the command line."""
    gc.set_threshold(GARBAGE_OBJECTS)
    gc.enable()
    prepare_streams()
    if argument := find_unreadable_argument(sys.argv[1:]):
        err.print(f"[red]playhall:[/red] The argument {escape(argument)} is not UTF-8.")
        sys.exit(2)
    command = next(iter(sys.argv[1:]), "")
    _add_commands(command)
    status, unwritten = _run()
    if unwritten and not (command == "serve" or status):
        err.print(f"[red]playhall:[/red] The output cannot be written: {unwritten.strerror}.")
        status = 1
    sys.exit(status)


def _run() -> tuple[int | str | None, OSError | None]:
    """Run the command; gives its exit status, and why its output cannot be written."""
    status, unwritten = None, None
    try:
        # Else the usage says `python -m server.cli`, which is right.
        app(prog_name=command_name() if Path(sys.argv[0]).name == PROGRAM else None)
    except SystemExit as ended:
        status = ended.code
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        unwritten = error
    finally:
        left = flush_streams()
    return status, unwritten or left


_SHELL: Final = Shell(read_config, database_url, plain_errors, owner_url)


def _add_audit() -> None:
    from server.ops.audit.commands import add_commands

    add_commands(app, _SHELL)


def _add_accounts() -> None:
    from server.ops.accounts_cli import add_commands

    add_commands(app, _SHELL)


def _add_games() -> None:
    from server.ops.games_cli import add_commands

    add_commands(app, _SHELL)


def _add_archive() -> None:
    from server.ops.archive_cli import add_commands

    add_commands(app, _SHELL)


def _add_restore_check() -> None:
    from server.ops.restore_check_cli import add_commands

    add_commands(app, _SHELL)


def _add_epochs() -> None:
    from server.ops.epochs_cli import add_epoch_commands

    add_epoch_commands(app, _SHELL)


def _add_economy() -> None:
    from server.ops.economy_cli import add_commands

    add_commands(app, _SHELL)


def _add_achievements() -> None:
    from server.ops.achievements_cli import add_commands

    add_commands(app, _SHELL)


def _add_social() -> None:
    from server.ops.social_cli import add_commands

    add_commands(app, _SHELL)


def _add_saves() -> None:
    from server.ops.saves_cli import add_commands

    add_commands(app, _SHELL)


def _add_content() -> None:
    from server.ops.content_cli import add_commands

    add_commands(app, _SHELL)


def _add_telemetry() -> None:
    from server.ops.telemetry_cli import add_telemetry_commands

    add_telemetry_commands(app, _SHELL)


def _add_nodes() -> None:
    from server.ops.nodes_cli import add_commands

    add_commands(app, _SHELL)


def _add_seeding() -> None:
    from server.ops.seed_cli import add_commands

    add_commands(app, _SHELL)


def _add_rulesets() -> None:
    from server.ops.ruleset_cli import add_commands

    add_commands(app, _SHELL)


def _add_matchmaking() -> None:
    from server.ops.matchmaking_cli import add_commands

    add_commands(app, _SHELL)


def _add_load_tester() -> None:
    from loadtest.cli import app as loadtest

    app.add_typer(loadtest, name="loadtest")


def _add_player() -> None:
    from loadtest.play import play

    app.command()(play)


def _add_supabase() -> None:
    from server.ops.supabase_cli import add_commands

    add_commands(app, _SHELL)


# What adds a command that is not in this module. All of them import more than one of them needs.
_ADDED: Final = {
    "verify": _add_audit,
    "replay": _add_audit,
    "stats": _add_audit,
    "ratings": _add_audit,
    "matchmaking": _add_matchmaking,
    "restore-check": _add_restore_check,
    "archive": _add_archive,
    "unarchive": _add_archive,
    "accounts": _add_accounts,
    "keys": _add_accounts,
    "games": _add_games,
    "epoch": _add_epochs,
    "economy": _add_economy,
    "saves": _add_saves,
    "achievements": _add_achievements,
    "social": _add_social,
    "supabase": _add_supabase,
    "content": _add_content,
    "telemetry": _add_telemetry,
    "nodes": _add_nodes,
    "seed": _add_seeding,
    "new-ruleset": _add_rulesets,
    "ruleset": _add_rulesets,
    "loadtest": _add_load_tester,
    "play": _add_player,
}
_HERE: Final = {"serve", "migrate", "backup", "restore", "export", "spec"}
_NO_COMMAND: Final = {"--version"}


def _add_commands(asked: str) -> None:
    """Add the command that is asked for; all of them for what is none, such as `--help`."""
    if asked in _ADDED:
        _ADDED[asked]()
    elif asked not in _HERE | _NO_COMMAND:
        for add in dict.fromkeys(_ADDED.values()):
            add()


if __name__ == "__main__":
    main()
