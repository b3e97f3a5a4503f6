"""`/v1/admin`: nodes, periodic work, the event outbox, and the settings in force; for admins."""

from collections.abc import Callable
from functools import partial
from typing import Final

from persistence.accounts.audit_log import record_entry
from persistence.event_outbox import EventOutbox
from persistence.games.administration import GameAdministrationStore
from persistence.maintenance.store import JobRun, MaintenanceStore
from protocol import operations as wire
from protocol.errors import Forbidden, InvalidField, NotFound
from server.core.clock import wire_fields, wire_time_or_none
from server.core.cursors import CursorCodec
from server.core.periodic import SWEEPS, PeriodicSweep
from server.domains.services import Services
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG: Final = "operations"

_CURSOR: Final = CursorCodec("admin-outbox", int, int)


class OperatorRoutes:
    """The addresses; `settings` describes what is in force."""

    def __init__(
        self,
        *,
        services: Services,
        outbox: EventOutbox,
        settings: Callable[[], wire.EffectiveSettings],
    ) -> None:
        self._services = services
        self._outbox = outbox
        self._settings = settings
        self._games = GameAdministrationStore(services.database)
        self._maintenance = MaintenanceStore(services.database)

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(Endpoint, auth="required", scope="admin", tag=TAG, errors=(Forbidden,))
        return [
            make(
                "GET",
                "/v1/admin/nodes",
                "List the nodes of this database, and count the games that nobody can play.",
                self._list_nodes,
                answer=wire.Nodes,
            ),
            make(
                "GET",
                "/v1/admin/jobs",
                "List periodic work: its last run and its next.",
                self._list_jobs,
                answer=wire.PeriodicJobs,
            ),
            make(
                "POST",
                "/v1/admin/jobs/run",
                "Have a job done now, and not when its pause is over.",
                self._run_job,
                body=wire.RunJobRequest,
                answer=wire.PeriodicJobs,
                errors=(Forbidden, NotFound, InvalidField),
            ),
            make(
                "GET",
                "/v1/admin/outbox",
                "List durable events that wait for a listener, or were given up.",
                self._list_outbox,
                query=wire.OutboxQuery,
                answer=wire.OutboxPage,
                errors=(Forbidden, InvalidField),
            ),
            make(
                "POST",
                "/v1/admin/outbox/{event_id}/retry",
                "Have an event delivered again now, with all its attempts before it.",
                self._retry_event,
                answer=wire.OutboxPage,
                errors=(Forbidden, NotFound, InvalidField),
            ),
            make(
                "GET",
                "/v1/admin/settings",
                "List the settings in force on the node that answers; secrets are masked.",
                self._list_settings,
                answer=wire.EffectiveSettings,
            ),
        ]

    async def _list_nodes(self, _: HttpRequest) -> wire.Nodes:
        nodes, stopped = await self._games.list_nodes(), await self._games.count_stopped()
        here = self._services.node
        return wire.Nodes(
            nodes=[wire.Node(**wire_fields(each), is_this=each.node == here) for each in nodes],
            orphaned_games=stopped.orphaned,
            quarantined_games=stopped.quarantined,
        )

    async def _list_jobs(self, _: HttpRequest) -> wire.PeriodicJobs:
        jobs = sorted(SWEEPS, key=lambda sweep: sweep.name)
        shared = await self._maintenance.list_jobs()
        return wire.PeriodicJobs(
            node=self._services.node,
            jobs=[_job(each) for each in jobs],
            shared=[_shared_job(each) for each in shared],
        )

    async def _run_job(self, request: HttpRequest) -> wire.PeriodicJobs:
        name: str = request.body.name
        meant = [sweep for sweep in SWEEPS if sweep.name == name]
        if not meant and not await self._maintenance.request_job(name):
            raise NotFound("There is no job of this name; GET /v1/admin/jobs lists them.")
        async with self._services.database.transaction() as connection:
            await record_entry(
                connection,
                actor=request.who.user_id,
                action="run_job",
                target=name,
                after={"node": self._services.node},
            )
        for sweep in meant:
            sweep.run_soon()
        return await self._list_jobs(request)

    async def _list_outbox(self, request: HttpRequest) -> wire.OutboxPage:
        query: wire.OutboxQuery = request.query
        after = 0 if query.cursor is None else _CURSOR.read(query.cursor)
        return await self._outbox_page(
            is_dead=query.state == "dead", after=after, limit=query.limit
        )

    async def _retry_event(self, request: HttpRequest) -> wire.OutboxPage:
        event_id = request.parse_path(wire.OutboxEventPath).event_id
        if not await self._outbox.retry_event(event_id, actor=request.who.user_id):
            raise NotFound("No event with this id waits; GET /v1/admin/outbox lists those that do.")
        return await self._outbox_page(is_dead=True, after=0, limit=50)

    async def _outbox_page(self, *, is_dead: bool, after: int, limit: int) -> wire.OutboxPage:
        backlog = await self._outbox.count_backlog()
        events = await self._outbox.list_events(is_dead=is_dead, after=after, limit=limit)
        shown = []
        for event in events:
            fields = wire_fields(event)
            del fields["seq"]
            shown.append(wire.OutboxEvent(**fields))
        return wire.OutboxPage(
            pending=backlog.pending,
            dead=backlog.dead,
            oldest_s=backlog.oldest_s,
            events=shown,
            next=_CURSOR.after_page(events, limit, lambda last: last.seq),
        )

    async def _list_settings(self, _: HttpRequest) -> wire.EffectiveSettings:
        return self._settings()


def _shared_job(job: JobRun) -> wire.SharedJob:
    fields = wire_fields(job)
    return wire.SharedJob(name=fields.pop("job"), **fields)


def _job(sweep: PeriodicSweep) -> wire.PeriodicJob:
    took_s = sweep.last_took_s
    return wire.PeriodicJob(
        name=sweep.name,
        every_s=sweep.pause_s,
        is_running=sweep.runs > 0 and sweep.next_run_at is None,
        runs=sweep.runs,
        failures=sweep.failures,
        last_run_at=wire_time_or_none(sweep.last_run_at),
        last_took_s=None if took_s is None else round(took_s, 3),
        last_error=sweep.last_error,
        next_run_at=wire_time_or_none(sweep.next_run_at),
    )
