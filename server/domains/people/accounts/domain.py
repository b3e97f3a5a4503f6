"""Accounts: everything that the domain offers."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from persistence.accounts.merges import MergeStore
from persistence.accounts.metadata import MetadataStore
from persistence.accounts.moderation import ModerationStore
from persistence.accounts.sessions import SessionStore
from persistence.accounts.sign_in import SignInStore
from persistence.accounts.store import AccountStore
from persistence.errors import StartRefused
from persistence.sealing import Seal
from protocol import accounts as wire
from protocol.ids import SessionId, UserId
from server.config import Config
from server.core.clock import Clock
from server.core.events import SessionRevoked
from server.core.mail_transports import InvalidMailUrl, Transport, file_transport, smtp_transport
from server.core.mailer import Mail, Mailer
from server.core.rate_limits import Rate
from server.core.retention import RetentionSweep
from server.domains.contract import Domain, Job, provide
from server.domains.interfaces import (
    AccountAuthenticator,
    AccountErasure,
    AccountMail,
    AccountReader,
    Authenticator,
    TokenScopes,
)
from server.domains.people.accounts.admin_http import AdminRoutes
from server.domains.people.accounts.browser_sign_in import COOKIE_S, BrowserSignIn
from server.domains.people.accounts.codes import EMAIL, OneTimeCodes
from server.domains.people.accounts.commands import SessionCommands, limits_in_force
from server.domains.people.accounts.dev_login import DevLogin, require_private
from server.domains.people.accounts.discord import DISCORD, Discord, DiscordApplication
from server.domains.people.accounts.email import EmailSignIn
from server.domains.people.accounts.http import (
    AccountRoutes,
    ActivityRoutes,
    SessionRoutes,
    guest_limiter,
)
from server.domains.people.accounts.keys import ScopedTokens, SigningKeys
from server.domains.people.accounts.merge_http import MergeRoutes
from server.domains.people.accounts.merging import MERGE, PREVIEW_S, AccountMergeService
from server.domains.people.accounts.moderation import AccountModeration
from server.domains.people.accounts.oidc import OpenIdProvider
from server.domains.people.accounts.password_limits import AttemptLimiter, PasswordLimits
from server.domains.people.accounts.providers import IdentityProvider, ProviderSignIn
from server.domains.people.accounts.revocation import (
    ENDED,
    RevokedConnections,
    SessionRevocation,
    SigningKeyMaintenance,
)
from server.domains.people.accounts.sealed import require_keys
from server.domains.people.accounts.service import Accounts, ActivityChanged, TokenLifetimes
from server.domains.people.accounts.settings import AccountSettings
from server.domains.people.accounts.sign_in_http import SignInRoutes, read_sign_in_methods
from server.domains.people.accounts.sign_in_methods import UNREADABLE, SignInMethodService
from server.domains.people.accounts.supabase import SupabaseAccounts, make_disabled_endpoints
from server.domains.people.accounts.supabase_admin import SupabaseAdmin
from server.domains.people.accounts.supabase_auth import SupabaseAuth
from server.domains.people.accounts.supabase_users import SupabaseUsers
from server.domains.services import Services, build_seal
from server.gateway.metrics import MetricsCollector, MetricSource
from server.gateway.supabase_keys import ApiKeys

LINK: Final = "link"
# From one network there may be a school; an account has one owner.
MAILS: Final = (Rate(per_minute=10, burst=30), Rate(per_minute=0.2, burst=3))


def build(services: Services) -> Domain:
    """Put the domain together. Raise `StartRefused` for settings that cannot be used."""
    config, clock = services.config, services.clock
    settings = services.settings(AccountSettings)
    store, sign_in = AccountStore(services.database), SignInStore(services.database)
    sessions = SessionStore(services.database)
    seal = build_seal(config)
    keys = SigningKeys(store, now=clock.monotonic, seal=seal if config.secret_keys else None)
    revocation = SessionRevocation(
        store=sessions,
        subscriptions=services.subscriptions,
        events=services.events,
        now=clock.monotonic,
    )
    accounts = Accounts(
        store=store,
        keys=keys,
        clock=clock,
        lifetimes=TokenLifetimes(settings.access_token_s, settings.refresh_token_s),
        revoked=revocation.publish_revoked,
        activity_changed=revocation.publish_activity,
    )

    def logged_out(session_id: SessionId) -> None:
        services.events.publish(SessionRevoked(session_id, ENDED))

    people = build_authenticator(
        settings,
        accounts=accounts,
        store=store,
        logged_out=logged_out,
        activity_changed=revocation.publish_activity,
        clock=clock,
    )
    methods = SignInMethodService(store=sign_in, seal=seal, accounts=accounts)
    codes = OneTimeCodes(store=sign_in, seal=seal, clock=clock)
    providers = ProviderSignIn(codes=codes, methods=methods, providers=_provider_names(settings))
    mailer = _mailer(config)
    share = services.shared_limits.add
    email = EmailSignIn(
        store=sign_in,
        methods=methods,
        codes=codes,
        accounts=accounts,
        send=None if mailer is None else mailer.send,
        server=services.address,
        mails=AttemptLimiter(network=MAILS[0], account=MAILS[1], now=clock.monotonic, share=share),
        guesses=PasswordLimits(now=clock.monotonic, share=share),
        passwords=services.passwords,
    )
    moderation = AccountModeration(
        store=ModerationStore(services.database),
        seal=seal,
        banned=revocation.publish_banned,
        activity_changed=revocation.publish_activity,
        revoked=revocation.publish_revoked,
    )
    account_routes = AccountRoutes(
        accounts=accounts,
        keys=keys,
        guests=share(guest_limiter(settings.guests_per_minute)),
        now=clock.monotonic,
    )
    merges = MergeStore(services.database)
    merging = AccountMergeService(
        store=merges,
        accounts=accounts,
        seal=seal,
        tokens=ScopedTokens(MERGE, keys=keys, clock=clock, lifetime_s=PREVIEW_S),
        clock=clock,
        undo_s=settings.merge_undo_s,
        revoked=revocation.publish_revoked,
    )
    links = ScopedTokens(LINK, keys=keys, clock=clock, lifetime_s=COOKIE_S)
    supabase_routes: list[Callable[[web.Application], None]] = []
    if config.supabase_api_secret is not None and not uses_supabase(settings):
        api_keys = ApiKeys(config.supabase_api_secret.get_secret_value())
        metadata = MetadataStore(services.database)
        users = SupabaseUsers(
            read_me=account_routes.read_me, methods=methods, metadata=metadata, accounts=store
        )
        auth = SupabaseAuth(
            keys=api_keys,
            accounts=accounts,
            users=users,
            guests=account_routes.require_guest_allowed,
            email=email,
            methods=methods,
            metadata=metadata,
            providers=providers,
            links=links,
            redirects=settings.sign_in_redirects,
            sessions=sessions,
            revocation=revocation,
            clock=clock,
            server=services.address,
        )
        admin = SupabaseAdmin(
            keys=api_keys,
            users=users,
            email=email,
            methods=methods,
            metadata=metadata,
            moderation=ModerationStore(services.database),
            revocation=revocation,
            passwords=services.passwords,
            erasure=lambda: services.interfaces.get(AccountErasure),
            clock=clock,
            server=services.address,
        )
        supabase_routes = [auth.mount, admin.mount]
    endpoints = [
        *account_routes.endpoints(),
        *SignInRoutes(
            methods=methods,
            revocation=revocation,
            email=email,
            providers=providers if providers.providers else None,
            elsewhere=settings.supabase_url if uses_supabase(settings) else None,
        ).endpoints(),
        *SessionRoutes(store=sessions, revocation=revocation).endpoints(),
        *ActivityRoutes(
            deactivate=people.deactivate, reactivate=people.reactivate, now=clock.monotonic
        ).endpoints(),
        *MergeRoutes(merging=merging, now=clock.monotonic).endpoints(),
        *AdminRoutes(
            moderation=moderation, sessions=sessions, database=services.database, clock=clock
        ).endpoints(),
    ]
    if settings.dev_login:
        require_private(config.host, config.public_url)
        endpoints += DevLogin(accounts=accounts, store=store).endpoints()
    commands = SessionCommands(
        accounts=lambda: services.interfaces.get(Authenticator),
        clock=clock,
        node=services.node,
        limits=limits_in_force(
            commands_per_s=config.commands_per_s, outbox_bytes_max=config.outbox_bytes_max
        ),
    )
    maintenance = SigningKeyMaintenance(
        keys=keys,
        token_s=settings.access_token_s,
        rotate_after_s=settings.key_rotate_days * 86_400,
    )

    def make_scope(purpose: str, lifetime_s: float) -> ScopedTokens:
        return ScopedTokens(purpose, keys=keys, clock=clock, lifetime_s=lifetime_s)

    async def start() -> None:
        await require_keys(seal, sign_in)
        await keys.start()

    return Domain(
        name="accounts",
        settings=AccountSettings,
        commands=commands.routes(),
        endpoints=make_disabled_endpoints(endpoints) if uses_supabase(settings) else endpoints,
        mounts=[*_browser_pages(services, providers, links, seal), *supabase_routes],
        listens=RevokedConnections(services.sessions).listens(),
        metrics=[
            MetricsCollector(
                counters=(
                    MetricSource(
                        "mails_sent",
                        "Mails sent.",
                        lambda: 0 if mailer is None else mailer.sent,
                    ),
                    MetricSource(
                        "mails_lost",
                        "Mails that could not be sent.",
                        lambda: 0 if mailer is None else mailer.lost,
                    ),
                )
            )
        ],
        provides=(
            provide(AccountAuthenticator, people),
            provide(Seal, seal),
            provide(TokenScopes, make_scope),
            provide(AccountReader, _Reader(account_routes, methods)),
            provide(AccountMail, _Mail(mailer, methods)),
        ),
        start=[start],
        jobs=[
            Job("signing keys", keys.reload_keys),
            Job("replaced keys", maintenance.run),
            *([Job("mail", mailer.run)] if mailer is not None else []),
        ],
        retention=[
            RetentionSweep("playhall_auth.refresh_tokens", sessions.forget_tokens),
            RetentionSweep("playhall_auth.codes", sessions.forget_codes),
            RetentionSweep("playhall_auth.merge_moves", merges.delete_final_moves),
        ],
    )


class _Reader:
    def __init__(self, accounts: AccountRoutes, methods: SignInMethodService) -> None:
        self._accounts = accounts
        self._methods = methods

    async def read_me(self, user_id: UserId) -> wire.Me:
        return await self._accounts.read_me(user_id)

    async def read_methods(self, user_id: UserId) -> wire.Methods:
        return await read_sign_in_methods(user_id, self._methods)


class _Mail:
    def __init__(self, mailer: Mailer | None, methods: SignInMethodService) -> None:
        self._mailer = mailer
        self._methods = methods

    @property
    def is_set_up(self) -> bool:
        return self._mailer is not None

    async def find_address(self, user_id: UserId) -> str | None:
        for method in await self._methods.list_methods(user_id):
            if method.kind == EMAIL:
                address = self._methods.read_display_name(method)
                return None if address == UNREADABLE else address
        return None

    def send(self, mail: Mail) -> None:
        if self._mailer is not None:
            self._mailer.send(mail)


def _provider_names(settings: AccountSettings) -> dict[str, str]:
    """Name the providers that are set up, by their ids."""
    discord = {DISCORD: Discord.name} if settings.discord_client_id else {}
    return discord | {provider.id: provider.name for provider in settings.oidc_providers or ()}


def _browser_pages(
    services: Services, sign_in: ProviderSignIn, links: ScopedTokens, seal: Seal
) -> list[Callable[[web.Application], None]]:
    """Give what adds the addresses that only a browser visits, if a provider is set up."""
    settings = services.settings(AccountSettings)
    providers: list[IdentityProvider] = [
        OpenIdProvider(provider, clock=services.clock) for provider in settings.oidc_providers or ()
    ]
    if settings.discord_client_secret is not None:
        secret = settings.discord_client_secret.get_secret_value()
        application = DiscordApplication(
            settings.discord_client_id, secret, settings.discord_url.rstrip("/")
        )
        providers.append(Discord(application))
    if uses_supabase(settings) or not providers:
        return []
    browser = BrowserSignIn(
        providers,
        redirects=settings.sign_in_redirects,
        sign_in=sign_in,
        links=links,
        seal=seal,
        clock=services.clock,
        server=services.address,
    )
    return [browser.mount]


def uses_supabase(settings: AccountSettings) -> bool:
    """Say whether Supabase keeps the accounts."""
    return bool(settings.supabase_url or settings.supabase_jwt_secret)


def build_authenticator(
    settings: AccountSettings,
    *,
    accounts: Accounts,
    store: AccountStore,
    logged_out: Callable[[SessionId], None],
    activity_changed: ActivityChanged,
    clock: Clock,
) -> Accounts | SupabaseAccounts:
    """Choose who says whose a token is."""
    if not uses_supabase(settings):
        return accounts
    secret = settings.supabase_jwt_secret
    return SupabaseAccounts(
        url=settings.supabase_url.rstrip("/"),
        secret=secret.get_secret_value() if secret else None,
        store=store,
        logged_out=logged_out,
        clock=clock,
        activity_changed=activity_changed,
    )


def _mailer(config: Config) -> Mailer | None:
    """Mail by SMTP; without a server, into a folder where the database is our own bundled one."""
    transport: Transport
    if config.smtp_url is not None:
        try:
            transport = smtp_transport(config.smtp_url.get_secret_value())
        except InvalidMailUrl as error:
            raise StartRefused(f"PLAYHALL_SMTP_URL {error}.") from error
    elif config.database_url is None:
        transport = file_transport(config.data_dir / "mail")
    else:
        return None
    return Mailer(transport, sender=config.mail_from)
