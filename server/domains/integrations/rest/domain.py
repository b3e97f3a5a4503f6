"""The REST interface for the Supabase clients: everything that the domain offers.

Without `PLAYHALL_SUPABASE_API_SECRET` there is none of it. It opens what the rights of the roles
`anon` and `authenticated` allow, which is more than the server's own addresses show, so operators
switch it on.
"""

from persistence.database import Database
from persistence.rest.store import SERVICE_ROLE, RestStore
from persistence.rls import ANONYMOUS_ROLE, AUTHENTICATED_ROLE
from server.core.rate_limits import Rate, RateLimiter
from server.core.settings import split_names
from server.domains.contract import Domain, Job
from server.domains.integrations.rest.exposed import CHANGED_BY_PEOPLE, ExposedCatalogue
from server.domains.integrations.rest.http import RestServing, RoleLimits
from server.domains.integrations.rest.settings import RestSettings
from server.domains.interfaces import Authenticator
from server.domains.services import Services
from server.gateway.supabase_keys import ApiKeys


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, config = services.settings(RestSettings), services.config
    secret = config.supabase_api_secret
    if secret is None:
        return Domain(name="rest", settings=RestSettings)
    store = RestStore(services.rls)
    catalogue = ExposedCatalogue(
        store,
        schemas=split_names(settings.rest_schemas),
        functions=split_names(settings.rest_functions),
        now=services.clock.monotonic,
    )
    service = _ServiceLogin(store, settings, pool_max=config.database_pool)
    named = split_names(settings.rest_writable_tables)
    changes = None if "*" in named else frozenset([*CHANGED_BY_PEOPLE, *named])
    user_rows, service_rows = settings.rest_rows_max, settings.rest_service_rows_max
    serving = RestServing(
        store=store,
        catalogue=catalogue,
        keys=ApiKeys(secret.get_secret_value()),
        authenticate=services.interfaces.get(Authenticator).authenticate,
        limits={
            ANONYMOUS_ROLE: RoleLimits(user_rows, settings.rest_anonymous_timeout_s, changes),
            AUTHENTICATED_ROLE: RoleLimits(user_rows, settings.rest_user_timeout_s, changes),
            SERVICE_ROLE: RoleLimits(service_rows, settings.rest_service_timeout_s),
        },
        requests=RateLimiter(
            "rest",
            Rate(settings.rest_requests_per_minute, settings.rest_requests_burst),
            "Too many requests",
        ),
        now=services.clock.monotonic,
        at_once=max(1, config.database_pool - 2),
    )
    return Domain(
        name="rest",
        settings=RestSettings,
        mounts=[serving.mount],
        start=[service.open, catalogue.start],
        jobs=[Job("rest catalogue", catalogue.run)],
        stop=[service.close],
    )


class _ServiceLogin:
    """What the service key works with; opened at the start, and closed at the end."""

    def __init__(self, store: RestStore, settings: RestSettings, *, pool_max: int) -> None:
        self._store = store
        self._url = settings.rest_service_database_url
        self._pool_max = pool_max
        self._database: Database | None = None

    async def open(self) -> None:
        if self._url is not None:
            self._database = await Database.open(
                self._url.get_secret_value(),
                role=SERVICE_ROLE,
                pool_max=self._pool_max,
                embedded=True,  # it is granted service_role, which no other login may be
            )
        await self._store.use_service(self._database)

    async def close(self) -> None:
        if self._database is not None:
            await self._database.close()
