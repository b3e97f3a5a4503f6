"""`playhall accounts` (find, ban, unban, grant, revoke) and `playhall keys`.

Keys: new, list, rotate, reencrypt, forget, supabase.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import typer
from rich.console import Console

from persistence.accounts.audit_log import CONSOLE
from persistence.accounts.moderation import (
    AccountDetails,
    AccountFilter,
    Ban,
    ModerationStore,
)
from persistence.accounts.sign_in import SignInStore
from persistence.accounts.store import AccountStore
from persistence.database import Database
from persistence.packages.store import PackageStore
from persistence.rls import RlsDatabase
from persistence.sealing import Seal, SealingKey, Unsealable
from persistence.webhooks.store import WebhookStore
from protocol.errors import InvalidField, NotFound
from protocol.limits import TEXT_CHARS_MAX
from server.config import Config
from server.core.clock import Clock, wire_time
from server.domains.integrations.webhooks.service import reseal_secrets
from server.domains.people.accounts.keys import SigningKeys
from server.domains.people.accounts.moderation import find_lookups
from server.domains.people.accounts.sealed import require_keys
from server.domains.people.accounts.sign_in_methods import reencrypt_methods
from server.domains.progression.packages.service import reseal_signing_keys
from server.domains.services import build_seal
from server.gateway.supabase_keys import make_api_key
from server.ops.shell import DataDir, Shell

T = TypeVar("T")

LIMIT_MAX: Final = 1000
BAN_DAYS_MAX: Final = 36_500
ROLES: Final = ("moderator", "admin", "support", "editor")

Whom = Annotated[str, typer.Argument(help="A user's or player's id, or a username.")]
Role = Annotated[str, typer.Argument(help="moderator, admin, support or editor.")]
Reason = Annotated[str, typer.Option(help="Shown to the person when they try to sign in.")]
Days = Annotated[
    float | None, typer.Option(help="Days until the ban ends; without it, the ban is permanent.")
]


class AccountsContext(NamedTuple):
    """What the commands work with."""

    moderators: ModerationStore
    methods: SignInStore
    accounts: AccountStore
    keys: SigningKeys
    seal: Seal
    webhooks: WebhookStore
    packages: PackageStore


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the operator's commands to a command line."""
    commands = _Commands(shell)
    accounts = typer.Typer(no_args_is_help=True, help="Manage bans and roles.")
    accounts.command()(commands.find)
    accounts.command()(commands.ban)
    accounts.command()(commands.unban)
    accounts.command()(commands.grant)
    accounts.command()(commands.revoke)
    keys = typer.Typer(no_args_is_help=True, help="Manage signing keys and sealing keys.")
    keys.command("list")(commands.list_keys)
    keys.command()(commands.new)
    keys.command()(commands.rotate)
    keys.command()(commands.reencrypt)
    keys.command()(commands.forget)
    keys.command()(commands.supabase)
    app.add_typer(accounts, name="accounts")
    app.add_typer(keys, name="keys")


class _Commands:
    """The commands; a mistake ends with status 1 and a sentence."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    # ------------------------------------------------------------------ accounts

    def find(
        self,
        text: Annotated[
            str | None,
            typer.Argument(
                help="An id, the beginning of a username, part of a display name, an email, a "
                "wallet's address, or an id at a provider; without it, all accounts are listed."
            ),
        ] = None,
        method: Annotated[
            str | None, typer.Option(help="Only those that sign in by it: email, discord, …")
        ] = None,
        role: Annotated[
            str | None, typer.Option(help="Only those with this role.", metavar="ROLE")
        ] = None,
        banned: Annotated[bool, typer.Option("--banned", help="Only banned ones.")] = False,
        limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most so many.")] = 50,
        after: Annotated[
            str | None, typer.Option(help="Go on after this username, the last of a page.")
        ] = None,
        data_dir: DataDir = None,
    ) -> None:
        """Find accounts, by username."""
        which = AccountFilter(text, (), method, role and _role_option(role), banned)
        people = self._in_context(
            lambda context: _find(context, which, after=after, limit=limit), data_dir
        )
        for person in people:
            self._out.print(_line(person))
        if not people:
            self._out.print("No account found.")
        elif len(people) == limit:
            self._out.print(f"There may be more: add --after {people[-1].username}")

    def ban(self, whom: Whom, reason: Reason, days: Days = None, data_dir: DataDir = None) -> None:
        """Ban an account: it cannot sign in, and its connections are closed."""
        if not 1 <= len(reason) <= TEXT_CHARS_MAX:
            raise typer.BadParameter(f"--reason: write 1 to {TEXT_CHARS_MAX} characters.")
        if days is not None and not 0 < days <= BAN_DAYS_MAX:
            raise typer.BadParameter(f"--days: give more than 0, and {BAN_DAYS_MAX} at most.")
        ends_at = None if days is None else Clock().now() + timedelta(days=days)
        self._change(
            whom,
            lambda context, person: context.moderators.ban(
                person.user_id, Ban(reason, ends_at), actor=CONSOLE
            ),
            data_dir,
        )

    def unban(self, whom: Whom, data_dir: DataDir = None) -> None:
        """Lift a ban."""
        self._change(
            whom,
            lambda context, person: context.moderators.unban(person.user_id, actor=CONSOLE),
            data_dir,
        )

    def grant(self, whom: Whom, role: Role, data_dir: DataDir = None) -> None:
        """Give an account a role."""
        self._set_roles(whom, lambda roles: {*roles, _role(role)}, data_dir)

    def revoke(self, whom: Whom, role: Role, data_dir: DataDir = None) -> None:
        """Remove a role from an account."""
        self._set_roles(whom, lambda roles: roles - {_role(role)}, data_dir)

    def _set_roles(
        self, whom: str, change: Callable[[set[str]], set[str]], data_dir: DataDir
    ) -> None:
        self._change(
            whom,
            lambda context, person: context.moderators.set_roles(
                person.user_id, sorted(change(set(person.roles))), actor=CONSOLE
            ),
            data_dir,
        )

    def _change(
        self,
        whom: str,
        act: Callable[[AccountsContext, AccountDetails], Coroutine[Any, Any, None]],
        data_dir: DataDir,
    ) -> None:
        async def work(context: AccountsContext) -> AccountDetails:
            person = await _one(context, whom)
            await act(context, person)
            return await _one(context, person.user_id)

        self._out.print(_line(self._in_context(work, data_dir)))

    # ------------------------------------------------------------------ keys

    def new(self) -> None:
        """Print a new key for PLAYHALL_SECRET_KEYS; put it before the other keys."""
        self._out.print(SealingKey.generate().to_setting)

    def supabase(self) -> None:
        """Print the keys of the Supabase clients, and how a client is configured with them."""
        config = self._shell.read_config()
        given = config.supabase_api_secret
        secret = secrets.token_urlsafe(36) if given is None else given.get_secret_value()
        if given is None:
            self._out.print("# For the server, which serves these clients once this is set:")
            self._out.print(f"PLAYHALL_SUPABASE_API_SECRET={secret}\n")
        now = int(time.time())
        url = config.public_url or f"http://{config.host.partition(',')[0]}:{config.port}"
        self._out.print("# For clients; the key is public, and opens what everybody may see:")
        self._out.print(f"SUPABASE_URL={url}")
        self._out.print(f"SUPABASE_ANON_KEY={make_api_key(secret, 'anon', issued_at=now)}\n")
        self._out.print("# For your own servers alone; it reaches every row:")
        service = make_api_key(secret, "service_role", issued_at=now)
        self._out.print(f"SUPABASE_SERVICE_ROLE_KEY={service}")

    def list_keys(self, data_dir: DataDir = None) -> None:
        """List the keys that sign access tokens, newest first."""
        listed = self._in_context(
            lambda context: context.accounts.list_signing_keys(), data_dir, opens=False
        )
        for key in listed:
            state = f"retired {wire_time(key.retired_at)}" if key.retired_at else "in use"
            seal = "sealed" if key.is_sealed else "in the clear"
            self._out.print(f"{key.kid}  made {wire_time(key.created_at)}  {state}  {seal}")

    def rotate(self, data_dir: DataDir = None) -> None:
        """Sign with a new key. The previous one stays valid; rotate twice to revoke it."""

        async def work(context: AccountsContext) -> str:
            await context.keys.rotate()
            return context.keys.newest.kid

        self._out.print(f"Signing with {self._in_context(work, data_dir)} within a minute.")

    def reencrypt(self, data_dir: DataDir = None) -> None:
        """Reencrypt everything with the newest key of PLAYHALL_SECRET_KEYS."""

        async def work(context: AccountsContext) -> tuple[int, int, int, int]:
            try:
                methods = await reencrypt_methods(context.methods, context.seal)
                webhooks = await reseal_secrets(context.webhooks, context.seal)
                content = await reseal_signing_keys(context.packages, context.seal)
            except Unsealable as error:
                raise InvalidField(f"Nothing more was sealed anew: {error}") from error
            return methods, await context.keys.reencrypt(), webhooks, content

        methods, keys, webhooks, content = self._in_context(work, data_dir)
        self._out.print(
            f"Reencrypted {methods} sign-in methods, {keys} signing keys, the secrets of "
            f"{webhooks} webhooks and {content} keys of content."
        )

    def forget(
        self,
        key_id: Annotated[str, typer.Argument(help="The id of a key that is lost.")],
        yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,
        data_dir: DataDir = None,
    ) -> None:
        """Delete everything sealed by a lost key of PLAYHALL_SECRET_KEYS.

        People who signed in with it keep their sessions, and link an address or Discord again.
        """

        async def work(context: AccountsContext) -> tuple[int, int, int]:
            if not yes:
                webhooks = await context.webhooks.sealed_by(key_id)
                return await context.methods.count_sealed_by(key_id), 0, len(webhooks)
            methods = await context.methods.delete_sealed_by(key_id, actor=CONSOLE)
            retired = await context.keys.retire_sealed_by(key_id)
            return methods, retired, await context.webhooks.forget_sealed_by(key_id, actor=CONSOLE)

        methods, keys, webhooks = self._in_context(work, data_dir, opens=False)
        if yes:
            self._out.print(
                f"Deleted {methods} sign-in methods and retired {keys} signing keys. "
                f"Deleted {webhooks} webhooks."
            )
            return
        self._out.print(
            f"The key {key_id!r} sealed {methods} sign-in methods and the secrets of {webhooks} "
            "webhooks. With --yes they are deleted, and the signing keys that it sealed are "
            "retired. There is no way back."
        )
        raise typer.Exit(1)

    def _in_context(
        self,
        work: Callable[[AccountsContext], Coroutine[Any, Any, T]],
        data_dir: DataDir,
        *,
        opens: bool = True,
    ) -> T:
        """Do some work; `opens` says whether it needs the keys that seal."""
        config = self._shell.read_config(data_dir=data_dir)
        with self._shell.said_plainly():
            return self._shell.run_in_context(
                config, context=partial(_context, opens=opens), work=work
            )


@asynccontextmanager
async def _context(config: Config, dsn: str, *, opens: bool) -> AsyncIterator[AccountsContext]:
    seal, clock = build_seal(config), Clock()
    async with await Database.open(dsn) as database:
        accounts, methods = AccountStore(database), SignInStore(database)
        if opens:
            await require_keys(seal, methods)
        keys = SigningKeys(accounts, now=clock.monotonic, seal=seal if config.secret_keys else None)
        moderators, webhooks = ModerationStore(database), WebhookStore(database)
        # What is done here needs no row level security.
        packages = PackageStore(database, RlsDatabase(Database.unopened()))
        yield AccountsContext(moderators, methods, accounts, keys, seal, webhooks, packages)


async def _find(
    context: AccountsContext, which: AccountFilter, *, after: str | None, limit: int
) -> list[AccountDetails]:
    if which.text is not None:
        lookups = await find_lookups(context.moderators, context.seal, which.text)
        which = which._replace(lookups=lookups)
    return await context.moderators.search_accounts(which, after=after, limit=limit)


async def _one(context: AccountsContext, whom: str) -> AccountDetails:
    """Find exactly one account by an id or a whole username."""
    if (person := await context.moderators.find_account(whom)) is not None:
        return person
    raise NotFound(f"There is no account {whom!r}; `playhall accounts find` lists some.")


def _role_option(role: str) -> str:
    if role not in ROLES:
        raise typer.BadParameter(f"--role: there are {', '.join(ROLES)}.")
    return role


def _role(role: str) -> str:
    if role not in ROLES:
        raise InvalidField(f"There is no role {role!r}; there are {', '.join(ROLES)}.")
    return role


def _line(person: AccountDetails) -> str:
    roles = f"  {', '.join(person.roles)}" if person.roles else ""
    methods = f"  by {', '.join(person.methods)}" if person.methods else ""
    named = f"{person.user_id}  {person.username}  {person.display_name!r}"
    return f"{named}{methods}{roles}{_ban(person.ban)}"


def _ban(ban: Ban | None) -> str:
    if ban is None:
        return ""
    until = wire_time(ban.ends_at) if ban.ends_at else "it is lifted"
    return f"  banned until {until}: {ban.reason}"
