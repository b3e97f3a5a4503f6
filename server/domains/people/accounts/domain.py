"""The room of accounts put together, from the configuration."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from persistence.accounts.moderation import ModerationStore
from persistence.accounts.sessions import SessionStore
from persistence.accounts.sign_in import SignInStore
from persistence.accounts.store import AccountStore
from persistence.database import Database
from persistence.errors import StartRefused
from persistence.sealing import Seal, seal_of
from protocol import accounts as wire
from protocol.ids import UserId
from server.config import Config
from server.core.clock import Clock
from server.core.mail_transports import BadMailUrl, Transport, file_carrier, smtp_carrier
from server.core.mailer import Mailer
from server.core.passwords import Passwords
from server.core.rate_limits import Rate
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.people.accounts.admin_http import AdminRoutes
from server.domains.people.accounts.codes import Codes
from server.domains.people.accounts.commands import Authority
from server.domains.people.accounts.discord import Application, Discord, DiscordSignIn
from server.domains.people.accounts.email import EmailSignIn
from server.domains.people.accounts.http import SessionRoutes
from server.domains.people.accounts.keys import Keys
from server.domains.people.accounts.moderation import Moderation
from server.domains.people.accounts.password_limits import NetworkAttempts, PasswordLimits
from server.domains.people.accounts.revocation import SessionMaintenance, SessionRevocation, Sockets
from server.domains.people.accounts.service import Accounts
from server.domains.people.accounts.sign_in_http import SignInRoutes, methods_of
from server.domains.people.accounts.sign_in_methods import Methods
from server.domains.people.accounts.supabase import SupabaseAccounts
from server.gateway.http.endpoints import Endpoint

KEY_FILE: Final = "secret.key"
# From one network there may be a school; an account has one owner.
MAILS: Final = (Rate(per_minute=10, burst=30), Rate(per_minute=0.2, burst=3))


class AccountDomain:
    """Everything of accounts beyond tokens; `server` says where clients reach this node."""

    def __init__(
        self,
        config: Config,
        *,
        database: Database,
        accounts: Accounts,
        keys: Keys,
        seal: Seal,
        sockets: Sockets,
        passwords: Passwords,
        clock: Clock,
        server: Callable[[], str],
        subscriptions: Subscriptions,
    ) -> None:
        self._config = config
        self._database = database
        self._accounts = accounts
        self._seal = seal
        self._passwords = passwords
        self._clock = clock
        self._server = server
        self._sessions = SessionStore(database)
        self._store = SignInStore(database)
        self._codes = Codes(store=self._store, seal=seal, clock=clock)
        self._methods = Methods(store=self._store, seal=seal, accounts=accounts)
        self._guesses = PasswordLimits(now=clock.monotonic)
        self._discord = DiscordSignIn(codes=self._codes, methods=self._methods)
        self._post = _post(config)
        self.endings = SessionRevocation(
            store=self._sessions,
            subscriptions=subscriptions,
            sockets=sockets,
            now=clock.monotonic,
        )
        self._housekeeping = SessionMaintenance(
            store=self._sessions,
            keys=keys,
            token_s=config.access_token_s,
            rotate_after_s=config.key_rotate_days * 86_400,
        )

    def start(self, tasks: Tasks) -> None:
        """Set going what must not stop."""
        tasks.loop(self._housekeeping.run(), name="expired sessions")
        if self._post is not None:
            tasks.loop(self._post.run(), name="mail")

    def endpoints(self) -> list[Endpoint]:
        """List the addresses of sessions, of signing in, and of moderation."""
        moderation = Moderation(
            store=ModerationStore(self._database), seal=self._seal, told=self.endings.enforce
        )
        admin = AdminRoutes(moderation=moderation, database=self._database, clock=self._clock)
        sessions = SessionRoutes(store=self._sessions, endings=self.endings)
        sign_in = SignInRoutes(
            methods=self._methods,
            endings=self.endings,
            email=self._email(self._post),
            discord=self._discord if self._config.discord_client_id else None,
            elsewhere=self._config.supabase_url if is_elsewhere(self._config) else None,
        )
        return [*sign_in.endpoints(), *sessions.endpoints(), *admin.endpoints()]

    async def read_methods(self, user_id: UserId) -> wire.Methods:
        """Read how somebody can sign in."""
        return await methods_of(user_id, self._methods)

    def mails_carried(self) -> int:
        """Count the mails that were handed on."""
        return 0 if self._post is None else self._post.carried

    def mails_lost(self) -> int:
        """Count the mails that were given up."""
        return 0 if self._post is None else self._post.lost

    def serve_from(self, app: web.Application) -> None:
        """Add the addresses that only a browser visits."""
        config = self._config
        if is_elsewhere(config) or config.discord_client_secret is None:
            return
        application = Application(
            config.discord_client_id,
            config.discord_client_secret.get_secret_value(),
            config.discord_url.rstrip("/"),
            config.sign_in_redirects,
        )
        discord = Discord(
            application,
            sign_in=self._discord,
            seal=self._seal,
            clock=self._clock,
            server=self._server,
        )
        discord.serve_from(app)

    def _email(self, post: Mailer | None) -> EmailSignIn:
        now = self._clock.monotonic
        return EmailSignIn(
            store=self._store,
            methods=self._methods,
            codes=self._codes,
            accounts=self._accounts,
            send=None if post is None else post.send,
            server=self._server,
            mails=NetworkAttempts(network=MAILS[0], account=MAILS[1], now=now),
            guesses=self._guesses,
            passwords=self._passwords,
        )


def is_elsewhere(config: Config) -> bool:
    """Say whether Supabase keeps the accounts."""
    return bool(config.supabase_url or config.supabase_jwt_secret)


def authority_by(
    config: Config,
    *,
    accounts: Accounts,
    store: AccountStore,
    end_sockets: Callable[[str], None],
    clock: Clock,
) -> Authority:
    """Choose who says whose a token is."""
    if not is_elsewhere(config):
        return accounts
    secret = config.supabase_jwt_secret
    return SupabaseAccounts(
        url=config.supabase_url.rstrip("/"),
        secret=secret.get_secret_value() if secret else None,
        store=store,
        end_sockets=end_sockets,
        now=clock.monotonic,
    )


def seal_by(config: Config) -> Seal:
    """Seal with the configuration's keys; for development, with one in the data folder."""
    return seal_of(
        config.secret_keys.get_secret_value() if config.secret_keys else "",
        key_file=config.data_dir / KEY_FILE,
        may_make=config.database_url is None,
    )


def _post(config: Config) -> Mailer | None:
    """Mail by SMTP; without a server, into a folder where the database is our own bundled one."""
    carrier: Transport
    if config.smtp_url is not None:
        try:
            carrier = smtp_carrier(config.smtp_url.get_secret_value())
        except BadMailUrl as error:
            raise StartRefused(f"PLAYHALL_SMTP_URL {error}.") from error
    elif config.database_url is None:
        carrier = file_carrier(config.data_dir / "mail")
    else:
        return None
    return Mailer(carrier, sender=config.mail_from)
