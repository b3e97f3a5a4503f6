"""The room, put together."""

from persistence.ballots import BallotStore
from persistence.behalf import Behalf
from persistence.bus import Bus
from persistence.claims import ClaimStore
from persistence.database import Database
from persistence.epochmirror import MirrorStore
from persistence.epochs import EpochStore
from persistence.epochsteps import StepStore
from server.domains.epochs.adminroutes import EpochAdminRoutes
from server.domains.epochs.following import Following
from server.domains.epochs.handlers import EpochCommands
from server.domains.epochs.metrics import EpochCollector
from server.domains.epochs.mirroring import Mirroring
from server.domains.epochs.routes import EpochRoutes, Get
from server.domains.epochs.scheduler import Scheduler
from server.domains.epochs.steps import OwnersAt, OwnersKnown, Put, Steps
from server.gateway.dispatch import Routes
from server.gateway.http import Endpoint
from server.kernel.clock import Clock
from server.kernel.tasks import Tasks


class Epochs:
    """Days of competition. What everybody may read is read as nobody in particular."""

    def __init__(
        self,
        database: Database,
        behalf: Behalf,
        *,
        bus: Bus,
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
        self.steps = Steps(
            self._steps_stored,
            self.days,
            owners_at=owners_at,
            owners_known=owners_known,
            put=put,
            node=node,
        )
        self.scheduler = Scheduler(self.days, self._steps_stored, self.steps, node=node)
        self.following = Following(self._public, bus, tasks=tasks, clock=clock)
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
