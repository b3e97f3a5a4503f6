"""Everything wired together: which rooms there are, and what each needs of another."""

from contextlib import suppress

import orjson
from aiohttp import web

from persistence.accounts.sign_in import SignInStore
from persistence.accounts.store import AccountStore
from persistence.blueprints.store import BlueprintStore
from persistence.broker.memory import Bus
from persistence.event_outbox import EventOutbox
from persistence.eventlog.completion import XpRule
from persistence.eventlog.writer import Log
from persistence.games.directory import RoomDirectory
from persistence.games.store import GameStore
from persistence.history.store import RecordStore
from persistence.lobbies.store import LobbyStore
from persistence.objects import Objects
from persistence.profiles.personal_data import MyDataStore
from persistence.profiles.store import ProfileStore
from protocol.asyncapi import asyncapi_document
from protocol.errors import Unavailable
from protocol.history import Status
from protocol.limits import SUBPROTOCOL
from server.competition import Competition
from server.config import names_in
from server.core.containment import FAILURES
from server.core.event_delivery import EventDeliverer
from server.core.events import LocalEvents, MemberKicked
from server.core.passwords import Passwords
from server.core.services import Services
from server.domains.content.blueprints.http import BlueprintRoutes
from server.domains.content.files.domain import Files
from server.domains.content.files.uploads import Terms
from server.domains.integrations.webhooks.domain import WebhookDomain
from server.domains.people.accounts.commands import SessionCommands, limits_in_force
from server.domains.people.accounts.domain import AccountDomain, authority_by, is_elsewhere, seal_by
from server.domains.people.accounts.http import AccountRoutes, guest_limiter
from server.domains.people.accounts.keys import Keys
from server.domains.people.accounts.scoped_tokens import ScopedTokens
from server.domains.people.accounts.sealed import require_keys
from server.domains.people.accounts.service import Accounts, Lifetimes
from server.domains.people.accounts.supabase import switched_off
from server.domains.people.profiles.erasure import Erasure
from server.domains.people.profiles.export import Exports, Tell
from server.domains.people.profiles.http import MyDataRoutes, ProfileRoutes, ReadMe
from server.domains.play.chat.commands import ChatCommands
from server.domains.play.games.access import Access
from server.domains.play.games.commands import GameCommands
from server.domains.play.games.directory import DirectoryRoutes, DirectoryUpkeep
from server.domains.play.games.http import GameRoutes
from server.domains.play.games.node_lease import Lease
from server.domains.play.games.presence import Presence
from server.domains.play.games.registry import GameRegistry, GameRegistryConfig
from server.domains.play.games.totals import CachedTotals
from server.domains.play.history.http import RecordRoutes
from server.domains.play.lobbies.commands import LobbyCommands
from server.domains.play.lobbies.domain import Lobbies
from server.domains.play.lobbies.http import LobbyRoutes, PeerRoutes
from server.domains.play.lobbies.peers import PeerAccessControl, ice_by
from server.domains.play.signaling.service import SOCKET_PATH, Signaling
from server.gateway.error_counts import Refusals
from server.gateway.http.cors import welcome_pages
from server.gateway.http.endpoints import Endpoint, build_http
from server.gateway.http.openapi import openapi_document
from server.gateway.metrics import Readings, exposition
from server.gateway.session import sessions
from server.gateway.session.sessions import CommandRate, Sessions
from server.gateway.transport.limits import TransportLimits, address_share
from server.gateway.transport.listener import Listener, Route
from server.gateway.transport.proxies import Proxies, believe
from server.ops.http import OperationRoutes
from server.web.pages import add_pages

VERSION = "0.1.0"
WEBSOCKET_PATH = "/ws"
ADOPT_EVERY_S = 1.0
TIDY_EVERY_S = 30.0
PEER_TOKEN_S = 600


class App:
    """The rooms of one node, and the one door to them."""

    def __init__(self, base: Services) -> None:
        config, database, clock, tasks = base.config, base.database, base.clock, base.tasks
        rate = CommandRate(config.commands_per_s, config.commands_burst)
        self._base = base
        self._started_at = clock.monotonic()
        self._door: Listener | None = None
        self.bus = Bus()
        self.local_events = LocalEvents()
        self.refusals = Refusals()
        count = self.refusals.counting("websocket")
        self.sessions = Sessions(clock=clock, tasks=tasks, rate=rate, count_refusal=count)
        self.passwords = Passwords()

        self._make_accounts(AccountStore(database))
        self._make_games(GameStore(database, node=base.node))
        self._make_lobbies(LobbyStore(database, self._base.behalf))
        self._make_files()
        self.competition = Competition(
            base,
            people=self.authority,
            sockets=self.sessions,
            bus=self.bus,
            objects=self.files.objects,
            server=lambda: self.lease.address,
        )
        self.webhooks = WebhookDomain(
            database=database,
            seal=self.seal,
            clock=clock,
            tasks=tasks,
            may_be_private=config.webhooks_private,
            kept_s=config.webhook_deliveries_kept_s,
        )
        self.events = EventDeliverer(
            EventOutbox(database),
            (self.webhooks.listener,),
            now=clock.monotonic,
            kept_s=config.events_kept_s,
        )
        self._make_erasure(MyDataStore(database))
        self._make_signaling(LobbyStore(database, self._base.behalf))
        self._introduce()
        self.sessions.routes = self._commands()

    def _make_accounts(self, store: AccountStore) -> None:
        config, clock = self._base.config, self._base.clock
        self.seal = seal_by(config)
        self.keys = Keys(store, now=clock.monotonic, seal=self.seal if config.secret_keys else None)
        self.accounts = Accounts(
            store=store,
            keys=self.keys,
            clock=clock,
            lifetimes=Lifetimes(config.access_token_s, config.refresh_token_s),
            end_sockets=self.sessions.end_session,
        )
        self.authority = authority_by(
            config,
            accounts=self.accounts,
            store=store,
            end_sockets=self.sessions.end_session,
            clock=clock,
        )
        self.account_room = AccountDomain(
            config,
            database=self._base.database,
            accounts=self.accounts,
            keys=self.keys,
            seal=self.seal,
            sockets=self.sessions,
            passwords=self.passwords,
            clock=clock,
            server=lambda: self.lease.address,
        )

    def _make_games(self, store: GameStore) -> None:
        base, config = self._base, self._base.config
        self.games = store
        self.totals = CachedTotals(store.totals, tasks=base.tasks, now=base.clock.monotonic)
        xp = XpRule(config.xp_per_game, config.xp_per_win)
        self.log = Log(base.database, writers=config.writers, xp=xp)
        self.lease = Lease(store, clock=base.clock, lease_s=config.lease_s)
        self.hosting = GameRegistry(
            config=GameRegistryConfig(base.node, config.bot_pause_s, config.idle_game_s),
            store=store,
            log=self.log,
            clock=base.clock,
            tasks=base.tasks,
            rulesets=base.rulesets,
            may_serve=self.lease.is_good,
        )
        self.rooms = RoomDirectory(base.database, public=base.behalf.anybody)
        self.directory = DirectoryUpkeep(self.rooms)

    def _make_lobbies(self, store: LobbyStore) -> None:
        base = self._base
        self.lobbies = Lobbies(
            store=store,
            bus=self.bus,
            presence=self.sessions,
            rulesets=base.rulesets,
            start_game=self.hosting.create,
            passwords=self.passwords,
            clock=base.clock,
            tasks=base.tasks,
            events=self.local_events,
            quick_play_wait_s=base.config.quick_play_wait_s,
            closed_kept_s=base.config.closed_lobbies_kept_s,
            grace_s=base.config.lobby_grace_s,
        )

    def _make_files(self) -> None:
        base, config = self._base, self._base.config
        self.files = Files(
            database=base.database,
            behalf=base.behalf,
            objects=Objects(config.files_url, folder=config.data_dir / "files"),
            keys=self.keys,
            clock=base.clock,
            folder=config.data_dir / "uploads",
            terms=Terms(config.upload_url_s, config.files_bytes_per_user),
            rulesets=base.rulesets,
        )

    def _make_signaling(self, store: LobbyStore) -> None:
        config, clock = self._base.config, self._base.clock
        keys, member_keys = names_in(config.peer_keys), names_in(config.peer_member_keys)
        passes = ScopedTokens("peer", keys=self.keys, clock=clock, lifetime_s=PEER_TOKEN_S)
        self.peer_door = PeerAccessControl(
            store,
            key=next(iter((*member_keys, *keys)), ""),
            ice=ice_by(config),
            write=passes.write,
            read=passes.read,
            clock=clock,
            server=lambda: self.lease.address,
        )
        self.signaling = Signaling(
            keys=frozenset(keys),
            member_keys=frozenset(member_keys),
            door=self.peer_door,
            tasks=self._base.tasks,
            now=self.sessions.now,
            messages_per_s=config.peer_messages_per_s,
            discovery=config.peer_discovery,
        )

    def _make_erasure(self, store: MyDataStore) -> None:
        self.my_data = store
        self.erasure = Erasure(
            store=store,
            clock=self._base.clock,
            leave_lobbies=self.lobbies.upkeep.leave_all,
            sockets=self.sessions,
        )

    def _introduce(self) -> None:
        """Tell the rooms what they need to hear of each other."""
        self.access = Access(
            hosting=self.hosting,
            store=self.games,
            may_watch=self.lobbies.may_watch,
            clock=self._base.clock,
        )
        presence = Presence(self.hosting, self.sessions)
        self.hosting.on_game_over += [self.lobbies.game_over]
        self.hosting.on_seats_changed += [self.directory.note]
        self.local_events.listen({MemberKicked: [presence.member_kicked]})
        self.lobbies.upkeep.games_here = self.hosting.of_lobbies
        self.lobbies.upkeep.on_kicked += [presence.show_out_watcher]
        self.lease.on_return += [self.hosting.let_go_of_lost]
        self.sessions.on_departure += [presence.departed, self.lobbies.departed]
        self.sessions.on_arrival += [self.lobbies.arrived]

    async def start(self, address: str) -> None:
        """Take the lease and the keys, and set everything going that must not stop.

        `address` is where clients reach this node.
        """
        tasks = self._base.tasks
        self.lease.address = address
        await require_keys(self.seal, SignInStore(self._base.database))
        self.files.objects.open()
        await self.keys.start()
        await self.lease.renew()
        with suppress(Unavailable):  # else they are read once somebody asks
            await self.totals.read()
        tasks.loop(self.passwords.run(), name="password hashing")
        tasks.loop(self.log.run(), name="log")
        tasks.loop(self.lease.keep(), name="lease")
        tasks.loop(self.hosting.keep_adopting(every_s=ADOPT_EVERY_S), name="adoption")
        tasks.loop(self.hosting.keep_tidy(every_s=TIDY_EVERY_S), name="idle games")
        tasks.loop(self.directory.run(), name="directory of games")
        tasks.loop(self.sessions.sweep(), name="silent connections")
        tasks.loop(self.lobbies.upkeep.run(), name="lobbies")
        tasks.loop(self.keys.follow(), name="signing keys")
        tasks.loop(self.files.upkeep.run(), name="files")
        self.account_room.start(tasks)
        await self.competition.start()
        tasks.loop(self.events.run(), name="events")
        tasks.loop(self.webhooks.deliverer.run(), name="webhooks")
        tasks.loop(self.erasure.follow(), name="erased people")
        tasks.loop(self.signaling.sweep(), name="signaling")
        tasks.loop(self.signaling.show_out_strangers(), name="members' peers")

    def http(self) -> web.Application:
        """Make the application behind every address that is no websocket."""
        count = self.refusals.counting("http")
        app = build_http(self.endpoints(), self.competition.bots.passes.authenticate, count)
        add_pages(app)
        self.files.serve_from(app, self.authority.authenticate)
        self.account_room.serve_from(app)
        self.signaling.add_routes(app)
        welcome_pages(app, names_in(self._base.config.origins))
        believe(app, self._proxies())
        return app

    def _proxies(self) -> Proxies:
        return Proxies.named(names_in(self._base.config.trusted_proxies))

    def open_door(self, http: web.Server) -> Listener:
        """Make the one door for HTTP and websockets."""
        config = self._base.config
        limits = TransportLimits(
            connections_max=config.connections_max,
            connections_per_address_max=(
                config.connections_per_address_max or address_share(config.connections_max)
            ),
            keepalive_timeout_s=config.keepalive_timeout_s,
            body_timeout_s=config.body_timeout_s,
            write_timeout_s=config.write_timeout_s,
            outbox_bytes_max=config.outbox_bytes_max,
        )
        peer_origins = frozenset(names_in(config.peer_origins))
        websockets = {
            WEBSOCKET_PATH: Route(lambda _: self.sessions.new(), SUBPROTOCOL),
            SOCKET_PATH: Route(self.signaling.accept, origins=peer_origins),
        }
        self._door = Listener(
            http=http,
            websockets=websockets,
            limits=limits,
            origins=frozenset(names_in(config.origins)),
            proxies=self._proxies(),
            count_refusal=self.refusals.counting("http"),
        )
        return self._door

    # ------------------------------------------------------------------ what can be asked

    def _commands(self) -> dict[str, sessions.Route]:
        config, clock = self._base.config, self._base.clock
        limits = limits_in_force(
            commands_per_s=config.commands_per_s, outbox_bytes_max=config.outbox_bytes_max
        )
        session = SessionCommands(
            accounts=self.competition.bots.passes, clock=clock, node=self._base.node, limits=limits
        )
        games = GameCommands(
            hosting=self.hosting,
            store=self.games,
            rulesets=self._base.rulesets,
            access=self.access,
            bus=self.bus,
            clock=clock,
        )
        chat = ChatCommands(
            bus=self.bus,
            clock=clock,
            may_speak_in_lobby=self.lobbies.may_speak,
            may_speak_in_game=self.access.may_speak,
        )
        lobbies = LobbyCommands(self.lobbies)
        peers = PeerRoutes(self.peer_door)
        rooms = (session, lobbies, peers, games, chat, self.competition.epochs)
        return sessions.assemble(*(room.routes() for room in rooms))

    def endpoints(self) -> list[Endpoint]:
        """List every address of the rooms, with those that describe them all."""
        base = self._base
        accounts = AccountRoutes(
            accounts=self.accounts,
            keys=self.keys,
            guests=guest_limiter(base.config.guests_per_minute),
            now=base.clock.monotonic,
        )
        games = GameRoutes(
            access=self.access,
            store=self.games,
            rulesets=base.rulesets,
            faults=self.hosting.faults,
        )
        records = RecordRoutes(store=RecordStore(base.database), rulesets=base.rulesets)
        listed: list[Endpoint] = [
            *accounts.endpoints(),
            *self.account_room.endpoints(),
            *self._of_profiles(accounts.read_me),
            *LobbyRoutes(self.lobbies).endpoints(),
            *PeerRoutes(self.peer_door).endpoints(),
            *DirectoryRoutes(self.rooms).endpoints(),
            *games.endpoints(),
            *records.endpoints(),
            *self.competition.endpoints(),
            *self.webhooks.endpoints(),
            *self.files.endpoints(self.lobbies.peers.may_upload_replay),
            *BlueprintRoutes(
                store=BlueprintStore(base.behalf), missing=self.files.missing
            ).endpoints(),
        ]
        if is_elsewhere(base.config):
            listed = switched_off(listed)
        listed += self._operations(listed).endpoints()  # which describe themselves as well
        return listed

    def _of_profiles(self, read_me: ReadMe) -> list[Endpoint]:
        base, now = self._base, self._base.clock.monotonic
        profiles = ProfileRoutes(store=ProfileStore(base.behalf), read_me=read_me, now=now)
        told: dict[str, Tell] = {"account": read_me, "sign-in": self.account_room.read_methods}
        exports = Exports(store=self.my_data, told=told, server=lambda: self.lease.address)
        my_data = MyDataRoutes(exports=exports, erasure=self.erasure, now=now)
        return [*profiles.endpoints(), *my_data.endpoints()]

    def _operations(self, listed: list[Endpoint]) -> OperationRoutes:
        return OperationRoutes(
            probe=self._probe,
            draining=lambda: self.hosting.draining,
            status=self._status,
            metrics=exposition(
                self._readings(),
                self.events.collector,
                self.webhooks.collector,
                *self.competition.collectors(),
            ),
            openapi=lambda: orjson.dumps(openapi_document(listed, version=VERSION)),
            asyncapi=lambda: orjson.dumps(asyncapi_document(version=VERSION)),
        )

    # ------------------------------------------------------------------ how it is doing

    async def _probe(self) -> None:
        async with self._base.database.acquire():
            pass

    def _failures(self) -> int:
        return FAILURES.total + self.log.metrics.failures + self.bus.failures

    async def _status(self) -> Status:
        totals = await self.totals.read()
        return Status(
            version=VERSION,
            node=self._base.node,
            connections=len(self.sessions),
            games=len(self.hosting),
            lobbies=self.lobbies.count(),
            events_total=totals.events,
            games_completed_total=totals.games_completed,
            uptime_s=round(self._base.clock.monotonic() - self._started_at, 1),
        )

    def _readings(self) -> Readings:
        return Readings(
            connections=lambda: self._door.connections if self._door is not None else 0,
            sessions=lambda: len(self.sessions),
            games=lambda: len(self.hosting),
            lobbies=self.lobbies.count,
            log_queue=lambda: self.log.queued,
            tasks=lambda: len(self._base.tasks),
            task_failures=self._failures,
            bytes_out=lambda: self._door.bytes_out if self._door is not None else 0,
            refusals=lambda: self.refusals.counts,
            ruleset_failures=lambda: self.hosting.faults.raised,
            games_quarantined=lambda: self.hosting.faults.quarantined,
            peers=self.signaling.peers,
            peer_messages=self.signaling.relayed,
            peer_refusals=lambda: self.signaling.refused,
            peer_queued_bytes=self.signaling.queued_bytes,
            mails_carried=self.account_room.mails_carried,
            mails_lost=self.account_room.mails_lost,
            log=self.log.metrics,
        )
