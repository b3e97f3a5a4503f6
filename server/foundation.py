"""What every room stands on."""

from collections.abc import Mapping
from dataclasses import dataclass

from persistence.behalf import Behalf
from persistence.database import Database
from server.config import Config
from server.gamekit.fold import AnyRuleset
from server.kernel.clock import Clock
from server.kernel.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Foundation:
    """What the rooms stand on."""

    config: Config
    database: Database
    behalf: Behalf
    node: str
    clock: Clock
    tasks: Tasks
    rulesets: Mapping[str, AnyRuleset]
