"""One real PostgreSQL for the whole run; a fresh, migrated database for each test that asks."""

import fcntl
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from compiled import loader
from persistence.cluster import PostgresCluster
from persistence.database import Database
from persistence.embedded import SETTINGS, EmbeddedPostgres
from persistence.rls import ANONYMOUS_ROLE, RlsDatabase
from tests.fixtures.postgres import TEMPLATE, Databases, copy_stopped, make_stopped
from tests.fixtures.redis import RedisServer

# Helpers assert as well. Without this, a failure in one prints no more than "AssertionError".
pytest.register_assert_rewrite(
    *(f"tests.{part}" for part in ("contract", "e2e", "faults", "fuzz", "integration", "unit"))
)

# How long an example takes says how busy the machine is.
settings.register_profile("playhall", deadline=None)
settings.load_profile("playhall")

# Set by the process that starts the run; the workers of a parallel run inherit it.
_FOLDER = "PLAYHALL_TEST_POSTGRES"
# Names another server to test on, as its superuser, such as one of an older version.
_OWN_SERVER = "PLAYHALL_TEST_DATABASE_URL"

# As many as a server waits for; see `server.cli`.
GARBAGE_OBJECTS = 50_000

# Each database that is dropped has all the shared buffers searched for its pages, and each that is
# made is a checkpoint, after which every page is logged whole.
_CHEAPER = {"shared_buffers": "64MB", "wal_compression": "off"}

IS_LONG = os.environ.get("PLAYHALL_FAULTS") == "long"

_HERE = Path(__file__).parent
_LONGEST_FIRST = ("faults", "e2e", "fuzz", "integration")  # then all others

# Making a database for each of thousands of tests is quickest in memory, where there is enough.
_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 6 << 30


def _quickest() -> Path | None:
    is_roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ENOUGH_BYTES
    return _MEMORY if is_roomy else None


def pytest_report_header() -> str:
    """Say which build the tests run on."""
    if loader.IS_IN_USE:
        return "the path of a move is compiled"
    return f"interpreted: {loader.PROBLEM}" if loader.PROBLEM else "interpreted"


def pytest_configure(config: pytest.Config) -> None:
    """Choose the server's folder: PostgreSQL's own user must be able to get there."""
    # Nodes must not ignore these because `nohup`, or a shell in the background, has us ignore them.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="playhall-", dir=_quickest())
        Path(folder).chmod(0o755)
        os.environ[_FOLDER] = folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that parallel workers end together; skip what is long."""
    for item in items:
        if not IS_LONG and (long := item.get_closest_marker("long")):
            item.add_marker(pytest.mark.skip(reason=f"{long.args[0]}: make faults"))
    places = {folder: place for place, folder in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda i: places.get(i.path.relative_to(_HERE).parts[0], len(places)))


def pytest_collection_finish() -> None:
    """Keep what there is by now out of every search for garbage: it takes a seventh of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the server away, even if a worker died without stopping it."""
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ.pop(_FOLDER))
        PostgresCluster(folder / "cluster").stop()
        shutil.rmtree(folder)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder for a server of the test's own; it is stopped if the test left it running."""
    parent = Path(tempfile.mkdtemp(prefix="playhall-", dir=Path(os.environ[_FOLDER]).parent))
    parent.chmod(0o755)
    yield parent / "postgres"
    PostgresCluster(parent / "postgres" / "cluster").stop()
    shutil.rmtree(parent)


@pytest.fixture(scope="session")
def stopped_data_dir() -> Path:
    """What a first start and a clean stop leave, to be copied; made once for the whole run."""
    stopped = Path(os.environ[_FOLDER]) / "stopped"
    with stopped.with_suffix(".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not stopped.exists():
            make_stopped(stopped)
    return stopped


@pytest.fixture
def used_data_dir(data_dir: Path, stopped_data_dir: Path) -> Path:
    """The same folder with a migrated database in it, for tests of what comes after a first start.

    Copying takes a tenth of the time of a first start.
    """
    copy_stopped(stopped_data_dir, data_dir)
    return data_dir


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The data source name of a running server, as its superuser."""
    if own := os.environ.get(_OWN_SERVER):
        yield own
        return
    server = EmbeddedPostgres(settings={**SETTINGS, **_CHEAPER})
    yield server.start(Path(os.environ[_FOLDER]))
    server.stop()


@pytest.fixture(scope="session")
def databases(postgres: str) -> Iterator[Databases]:
    """The maker of databases, with a migrated one to copy."""
    in_memory = Path(os.environ[_FOLDER]).is_relative_to(_MEMORY)
    databases = Databases(postgres, in_memory=in_memory)
    databases.ensure_template()
    yield databases
    databases.close()


@pytest.fixture
def empty_dsn(databases: Databases) -> Iterator[str]:
    """A database in which nothing was made yet."""
    dsn = databases.create()
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def fresh_dsn(databases: Databases) -> Iterator[str]:
    """A migrated database with nothing in it."""
    dsn = databases.create(template=TEMPLATE)
    yield dsn
    databases.drop(dsn)


@pytest.fixture
def serving_dsn(databases: Databases, fresh_dsn: str) -> str:
    """The same fresh database, for the login that a server uses."""
    return databases.serving_dsn(fresh_dsn)


@pytest.fixture
async def database(fresh_dsn: str) -> AsyncIterator[Database]:
    """An open `Database` on a fresh database, working as the server's role."""
    database = await Database.open(fresh_dsn, embedded=True)
    yield database
    await database.close()


@pytest.fixture
async def rls(fresh_dsn: str) -> AsyncIterator[RlsDatabase]:
    """The same fresh database as whoever asks, under row level security."""
    database = await Database.open(fresh_dsn, embedded=True, role=ANONYMOUS_ROLE)
    yield RlsDatabase(database)
    await database.close()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running Redis-compatible server, for one test to do with as it likes."""
    server = RedisServer()
    server.start()
    yield server
    server.close()
