"""Profiles and personal data: everything that the domain offers."""

from persistence.profiles.last_seen import LastSeenStore
from persistence.profiles.personal_data import PersonalDataStore
from persistence.profiles.store import ProfileStore
from server.domains.contract import Domain, Job, provide
from server.domains.interfaces import AccountErasure, AccountReader, LobbyAccess
from server.domains.people.profiles.erasure import ErasureService
from server.domains.people.profiles.export import ExportService
from server.domains.people.profiles.http import MyDataRoutes, ProfileRoutes
from server.domains.people.profiles.last_seen import LastSeen
from server.domains.services import Services


def build(services: Services) -> Domain:
    """Put the domain together."""
    accounts = services.interfaces.get(AccountReader)
    now = services.clock.monotonic
    store = PersonalDataStore(services.database, services.objects)
    erasure = ErasureService(
        store=store,
        subscriptions=services.subscriptions,
        clock=services.clock,
        leave_lobbies=services.interfaces.get(LobbyAccess).leave_all,
        events=services.events,
    )
    exports = ExportService(
        store=store,
        sections={"account": accounts.read_me, "sign-in": accounts.read_methods},
        server=services.address,
    )
    profiles = ProfileRoutes(
        store=ProfileStore(services.rls, services.database),
        read_me=accounts.read_me,
        now=now,
        events=services.events,
    )
    my_data = MyDataRoutes(exports=exports, erasure=erasure, now=now)
    last_seen = LastSeen(LastSeenStore(services.database))
    return Domain(
        name="profiles",
        endpoints=[*profiles.endpoints(), *my_data.endpoints()],
        provides=[provide(AccountErasure, erasure)],
        listens=last_seen.listens(),
        jobs=[Job("last seen", last_seen.run)],
    )
