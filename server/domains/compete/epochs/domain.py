"""Epochs: everything that the domain offers."""

from functools import partial

from persistence.database import Database
from persistence.epochs.claims import ClaimStore
from persistence.epochs.mirror import MirrorStore
from persistence.epochs.steps import SettlementStore
from persistence.epochs.store import EpochStore
from persistence.epochs.votes import VoteStore
from persistence.objects import ObjectMissing, ObjectStorage
from persistence.rls import RlsDatabase
from protocol.errors import NotFound
from server.core.clock import Clock
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.compete.epochs.admin_http import EpochAdminRoutes
from server.domains.compete.epochs.board_streams import EpochStreams
from server.domains.compete.epochs.commands import EpochCommands
from server.domains.compete.epochs.http import EpochRoutes, Get
from server.domains.compete.epochs.mirror import DayMirror
from server.domains.compete.epochs.scheduler import Scheduler
from server.domains.compete.epochs.settings import EpochSettings
from server.domains.compete.epochs.steps import (
    EpochSteps,
    OwnersAt,
    OwnersKnown,
    Put,
    require_profiles,
)
from server.domains.contract import Domain, Job
from server.domains.interfaces import BotOwners, ChainProgress
from server.domains.services import Services
from server.gateway.http.endpoints import Endpoint
from server.gateway.metrics import MetricsCollector, MetricSource
from server.gateway.session.sessions import Routes


def build(services: Services) -> Domain:
    """Put the domain together."""
    epochs = Epochs(
        services.database,
        services.rls,
        subscriptions=services.subscriptions,
        clock=services.clock,
        tasks=services.tasks,
        node=services.node,
        owners_at=services.interfaces.get(BotOwners).find_owners_at,
        owners_known=services.interfaces.get(ChainProgress).knows_owners_at,
        put=services.objects.put,
        get=partial(_read_object, services.objects),
    )
    runs = services.settings(EpochSettings).epochs
    return Domain(
        name="epochs",
        settings=EpochSettings,
        commands=epochs.routes(),
        endpoints=epochs.endpoints(),
        metrics=[_numbers(epochs.following, epochs.scheduler)],
        # Raises `StartRefused` where days cannot be made.
        start=[partial(require_profiles, epochs.days)] if runs else [],
        jobs=[Job("epochs", epochs.scheduler.run)] if runs else [],
    )


def _numbers(following: EpochStreams, scheduler: Scheduler) -> MetricsCollector:
    return MetricsCollector(
        gauges=[
            MetricSource(
                "epoch_watchers", "Connections that follow a day.", lambda: following.watchers
            ),
            MetricSource("epoch_boards", "Days being followed.", lambda: len(following)),
            MetricSource(
                "epoch_leading",
                "1 if this node advances the days.",
                lambda: int(scheduler.leads),
            ),
            MetricSource(
                "epoch_stuck", "Days that do not advance.", lambda: scheduler.count_stuck_days
            ),
        ],
        counters=[
            MetricSource(
                "epoch_events_sent",
                "Events sent to watchers, counted once each.",
                lambda: following.events_total,
            ),
            MetricSource("epoch_steps", "Steps taken.", lambda: scheduler.steps_total),
        ],
    )


async def _read_object(objects: ObjectStorage, key: str) -> bytes:
    try:
        return await objects.read_whole(key)
    except ObjectMissing:
        raise NotFound("There is no such file; it may have been deleted.") from None


class Epochs:
    """Days of competition. What everybody may read is read as nobody in particular."""

    def __init__(
        self,
        database: Database,
        rls: RlsDatabase,
        *,
        subscriptions: Subscriptions,
        clock: Clock,
        tasks: Tasks,
        node: str,
        owners_at: OwnersAt,
        owners_known: OwnersKnown,
        put: Put,
        get: Get,
    ) -> None:
        self._steps_stored = SettlementStore(database)
        self.days = EpochStore(database)
        self._public = EpochStore(rls.anonymous)
        self.following = EpochStreams(self._public, subscriptions, tasks=tasks, clock=clock)
        self.steps = EpochSteps(
            self._steps_stored,
            self.days,
            owners_at=owners_at,
            owners_known=owners_known,
            put=put,
            node=node,
            committed=self.following.publish_committed,
        )
        self.scheduler = Scheduler(self.days, self._steps_stored, self.steps, node=node)
        self._commands = EpochCommands(
            days=self._public,
            claims=ClaimStore(database),
            ballots=VoteStore(database, rls),
            following=self.following,
        )
        self._mirroring = DayMirror(MirrorStore(database), self.following)
        self._get = get

    def routes(self) -> Routes:
        """Say how each command is carried out."""
        return self._commands.routes()

    def endpoints(self) -> list[Endpoint]:
        """List the addresses of days."""
        public = EpochRoutes(days=self._public, steps=self._steps_stored, get=self._get)
        admin = EpochAdminRoutes(
            days=self.days,
            store=self._steps_stored,
            steps=self.steps,
            scheduler=self.scheduler,
            mirroring=self._mirroring,
        )
        return [*public.endpoints(), *admin.endpoints()]
