"""The room, put together."""

from persistence.database import Database
from persistence.epochs.claims import ClaimStore
from persistence.epochs.mirror import MirrorStore
from persistence.epochs.steps import StepStore
from persistence.epochs.store import EpochStore
from persistence.epochs.votes import BallotStore
from persistence.rls import RlsDatabase
from server.core.clock import Clock
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.compete.epochs.admin_http import EpochAdminRoutes
from server.domains.compete.epochs.board_streams import Following
from server.domains.compete.epochs.commands import EpochCommands
from server.domains.compete.epochs.http import EpochRoutes, Get
from server.domains.compete.epochs.metrics import EpochCollector
from server.domains.compete.epochs.mirror import Mirroring
from server.domains.compete.epochs.scheduler import Scheduler
from server.domains.compete.epochs.steps import OwnersAt, OwnersKnown, Put, Steps
from server.gateway.http.endpoints import Endpoint
from server.gateway.session.sessions import Routes


class Epochs:
    """Days of competition. What everybody may read is read as nobody in particular."""

    def __init__(
        self,
        database: Database,
        behalf: RlsDatabase,
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
        self._steps_stored = StepStore(database)
        self.days = EpochStore(database)
        self._public = EpochStore(behalf.anybody)
        self.following = Following(self._public, subscriptions, tasks=tasks, clock=clock)
        self.steps = Steps(
            self._steps_stored,
            self.days,
            owners_at=owners_at,
            owners_known=owners_known,
            put=put,
            node=node,
            committed=self.following.committed,
        )
        self.scheduler = Scheduler(self.days, self._steps_stored, self.steps, node=node)
        self.collector = EpochCollector(self.following, self.scheduler)
        self._commands = EpochCommands(
            days=self._public,
            claims=ClaimStore(database),
            ballots=BallotStore(database, behalf),
            following=self.following,
        )
        self._mirroring = Mirroring(MirrorStore(database), self.following)
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
