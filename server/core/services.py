"""What every room stands on."""

from collections.abc import Mapping
from dataclasses import dataclass

from persistence.database import Database
from persistence.rls import RlsDatabase
from server.config import Config
from server.core.clock import Clock
from server.core.tasks import Tasks
from server.gamekit.fold import AnyRuleset


@dataclass(frozen=True, slots=True)
class Services:
    """What the rooms stand on."""

    config: Config
    database: Database
    behalf: RlsDatabase
    node: str
    clock: Clock
    tasks: Tasks
    rulesets: Mapping[str, AnyRuleset]
