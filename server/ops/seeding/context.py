"""What is needed to seed: the domains' services, on a database whose work can be joined."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from persistence.accounts.moderation import ModerationStore
from persistence.accounts.sign_in import SignInStore
from persistence.accounts.store import AccountStore
from persistence.inventory.definitions import DefinitionStore
from persistence.inventory.store import EconomyStore
from persistence.joined import JoinedDatabase, JoinedRls
from persistence.packages.store import PackageStore
from persistence.rls import ANONYMOUS_ROLE
from persistence.saves.schemas import SaveSchemaStore
from persistence.sealing import Seal
from persistence.telemetry.consents import ConsentStore
from persistence.telemetry.schemas import TelemetrySchemaStore
from persistence.telemetry.store import TelemetryStore
from server.app import App
from server.config import Config
from server.core.clock import Clock
from server.core.settings import read_settings
from server.core.tasks import Tasks
from server.domains.interfaces import ProgressStream
from server.domains.people.accounts.keys import SigningKeys
from server.domains.people.accounts.sealed import require_keys
from server.domains.people.accounts.service import TokenIssuer, TokenLifetimes
from server.domains.people.accounts.settings import AccountSettings
from server.domains.progression.command_saves import service as command_saves
from server.domains.progression.command_saves.service import CommandSaveService
from server.domains.progression.inventory.service import EconomyService
from server.domains.progression.inventory.settings import InventorySettings
from server.domains.progression.packages.service import PackageService
from server.domains.progression.packages.service import make_service as package_service
from server.domains.progression.packages.settings import PackageSettings
from server.domains.progression.quests.service import QuestService
from server.domains.progression.quests.service import make_service as quest_service
from server.domains.progression.saves.schemas import SaveSchemaRegistry
from server.domains.progression.saves.service import SaveService, read_limits
from server.domains.progression.saves.service import make_service as save_service
from server.domains.progression.saves.settings import SavesSettings
from server.domains.progression.telemetry.schemas import TelemetrySchemaRegistry
from server.domains.progression.telemetry.service import TelemetryService
from server.domains.progression.telemetry.settings import TelemetrySettings
from server.domains.services import Services, build_seal
from server.rulesets import find_rulesets

# What the log that is begun in this task gets as its seed.
log_seed: ContextVar[str] = ContextVar("log_seed")
CONNECTIONS_MAX: Final = 8


class SeedContext(NamedTuple):
    """The services, and the stores behind them."""

    services: Services
    database: JoinedDatabase
    accounts: AccountStore
    moderation: ModerationStore
    issuer: TokenIssuer
    schemas: SaveSchemaRegistry
    saves: SaveService
    logs: CommandSaveService
    quests: QuestService
    definitions: DefinitionStore
    economy: EconomyService
    event_types: TelemetrySchemaRegistry
    event_schemas: TelemetrySchemaStore
    event_days: TelemetryStore
    telemetry: TelemetryService
    packages: PackageService
    package_store: PackageStore


@asynccontextmanager
async def open_context(config: Config, dsn: str) -> AsyncIterator[SeedContext]:
    """Wire a server that is never started."""
    async with (
        await JoinedDatabase.open(dsn, pool_max=CONNECTIONS_MAX) as database,
        await JoinedDatabase.open(dsn, role=ANONYMOUS_ROLE, pool_max=2) as anonymous,
        Tasks() as tasks,
    ):
        rls = JoinedRls(anonymous)
        rulesets = find_rulesets(*config.ruleset_directories())
        services = Services(config, database, rls, "console", Clock(), tasks, rulesets)
        App(services)
        services.objects.open()
        await require_keys(services.interfaces.get(Seal), SignInStore(database))
        yield _context(services, database)


def _context(services: Services, database: JoinedDatabase) -> SeedContext:
    clock, stream = services.clock, services.interfaces.get(ProgressStream)
    save_settings = services.settings(SavesSettings)
    schemas = SaveSchemaRegistry(SaveSchemaStore(database), clock, read_limits(save_settings))
    economy_settings = services.settings(InventorySettings)
    definitions = DefinitionStore(
        database,
        services.rls,
        {
            "item": economy_settings.items_max,
            "currency": economy_settings.currencies_max,
            "recipe": economy_settings.recipes_max,
        },
    )
    telemetry_settings = services.settings(TelemetrySettings)
    event_schemas, event_days = TelemetrySchemaStore(database), TelemetryStore(database)
    event_types = TelemetrySchemaRegistry(event_schemas)
    return SeedContext(
        services=services,
        database=database,
        accounts=AccountStore(database),
        moderation=ModerationStore(database),
        issuer=_issuer(services),
        schemas=schemas,
        saves=save_service(services, save_settings, schemas=schemas, stream=stream),
        logs=command_saves.make_service(services, new_seed=log_seed.get),
        quests=quest_service(services),
        definitions=definitions,
        economy=EconomyService(
            store=EconomyStore(database, services.rls),
            definitions=definitions,
            progress=stream,
            tasks=services.tasks,
            plausibility=economy_settings.plausibility,
        ),
        event_types=event_types,
        event_schemas=event_schemas,
        event_days=event_days,
        telemetry=TelemetryService(
            store=event_days,
            consents=ConsentStore(database, services.rls),
            schemas=event_types,
            clock=clock,
            opt_in=telemetry_settings.needs_opt_in(),
            letters_max=0,
            is_forwarding=False,  # what was never played concerns nobody else
        ),
        packages=package_service(services, services.settings(PackageSettings), changed=_nothing),
        package_store=PackageStore(database, services.rls),
    )


def _issuer(services: Services) -> TokenIssuer:
    """Make what writes sessions down; no token of them is ever handed out."""
    settings = read_settings(AccountSettings)
    seal = build_seal(services.config) if services.config.secret_keys else None
    keys = SigningKeys(AccountStore(services.database), now=services.clock.monotonic, seal=seal)
    lifetimes = TokenLifetimes(settings.access_token_s, settings.refresh_token_s)
    return TokenIssuer(keys=keys, clock=services.clock, lifetimes=lifetimes)


async def _nothing() -> None:
    """Nodes notice by themselves."""


Progress = Callable[[str], None]
