"""`/auth/v1/admin`: looking after accounts with the service key, as `supabase.auth.admin` does.

Whoever holds the key runs the application, so what they say of an address is believed, but for one
thing: a password counts from the start only where they vouch for the address (`email_confirm`).
Else somebody could have an account made for an address of another person, who would then share it.
Every change, every code and the reading of one account is in the audit log.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from math import ceil
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import orjson
from aiohttp import web
from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from persistence.accounts.audit_log import SERVICE_KEY
from persistence.accounts.metadata import Metadata, MetadataStore
from persistence.accounts.moderation import Ban, ModerationStore, NoSuchAccount
from persistence.accounts.sign_in import NO_ACCOUNT, RecordedCode
from protocol.accounts import Email, NewPassword
from protocol.errors import BadToken, Forbidden, InvalidField, MethodTaken
from protocol.ids import UUID_PATTERN, UserId, new_id
from server.core.clock import Clock, wire_time
from server.core.passwords import HashRequester, PasswordHasher
from server.domains.interfaces import AccountErasure
from server.domains.people.accounts.codes import EMAIL
from server.domains.people.accounts.email import EmailSignIn, confirm_link
from server.domains.people.accounts.revocation import SessionRevocation
from server.domains.people.accounts.sign_in_methods import ProvedSignInMethod, SignInMethodService
from server.domains.people.accounts.supabase_auth import (
    PREFIX,
    REDIRECT_CHARS_MAX,
    Handler,
    UserNotFound,
    answering,
    read,
)
from server.domains.people.accounts.supabase_users import (
    ClientBody,
    MetadataChange,
    SupabaseUsers,
    make_notes,
    show_pending,
)
from server.gateway.supabase_keys import ApiKeys

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200
PAGES_MAX: Final = 1_000_000
BAN_REASON: Final = "Banned by the application."
_UUID: Final = re.compile(UUID_PATTERN)

# A foreign hash is checked at every sign-in, so it must not cost much more than our own.
_BCRYPT: Final = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")
_ARGON2_KIB_MAX: Final = 262_144
_ARGON2_PASSES_MAX: Final = 10

_DURATION: Final = re.compile(r"(?:\d{1,9}(?:\.\d{1,3})?(?:ms|s|m|h))+")
_PART: Final = re.compile(r"([\d.]+)(ms|s|m|h)")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_S_MAX: Final = 3_155_760_000  # a hundred years


def check_password_hash(text: str) -> str:
    """Accept a hash of bcrypt or argon2 that costs no more than it should."""
    if _BCRYPT.fullmatch(text):
        return text
    try:
        cost = extract_parameters(text)
    except InvalidHashError:
        cost = None
    if cost is None or cost.memory_cost > _ARGON2_KIB_MAX or cost.time_cost > _ARGON2_PASSES_MAX:
        raise PydanticCustomError(
            "password_hash",
            "Send a hash of bcrypt ($2a$, cost 4 to 14) or of argon2, with at most 256 MiB and "
            "10 passes",
        )
    return text


PasswordHash = Annotated[
    str, StringConstraints(max_length=512), AfterValidator(check_password_hash)
]
BanDuration = Annotated[str, StringConstraints(max_length=64)]


class _User(ClientBody):
    email: Email | None = None
    phone: str | None = None
    password: NewPassword | None = None
    password_hash: PasswordHash | None = None
    user_metadata: MetadataChange | None = None
    app_metadata: MetadataChange | None = None
    ban_duration: BanDuration | None = None

    @property
    def metadata(self) -> Metadata:
        return Metadata(self.user_metadata or {}, self.app_metadata or {})


class _NewUser(_User):
    id: Annotated[str, StringConstraints(pattern=UUID_PATTERN)] | None = None
    email_confirm: bool = False


class _Deletion(ClientBody):
    should_soft_delete: bool = False


class _Invitation(ClientBody):
    email: Email
    data: MetadataChange | None = None


class _LinkRequest(ClientBody):
    type: Literal[
        "signup", "invite", "magiclink", "recovery", "email_change_current", "email_change_new"
    ]
    email: Email
    new_email: Email | None = None
    password: NewPassword | None = None
    data: MetadataChange | None = None
    redirect_to: Annotated[str, StringConstraints(max_length=REDIRECT_CHARS_MAX)] = ""


class SupabaseAdmin:
    """Serves the addresses; `erasure` gives what erases accounts, once the server has started."""

    def __init__(
        self,
        *,
        keys: ApiKeys,
        users: SupabaseUsers,
        email: EmailSignIn,
        methods: SignInMethodService,
        metadata: MetadataStore,
        moderation: ModerationStore,
        revocation: SessionRevocation,
        passwords: PasswordHasher,
        erasure: Callable[[], AccountErasure],
        clock: Clock,
        server: Callable[[], str],
    ) -> None:
        self._keys = keys
        self._users = users
        self._email = email
        self._methods = methods
        self._metadata = metadata
        self._moderation = moderation
        self._revocation = revocation
        self._passwords = passwords
        self._erasure = erasure
        self._clock = clock
        self._server = server

    def mount(self, app: web.Application) -> None:
        """Serve the addresses from an application."""
        routes: list[tuple[str, str, Handler]] = [
            ("POST", "/invite", self._invite),
            ("POST", "/admin/generate_link", self._generate_link),
            ("GET", "/admin/users", self._list),
            ("POST", "/admin/users", self._create),
            ("GET", "/admin/users/{id}", self._read),
            ("PUT", "/admin/users/{id}", self._change),
            ("DELETE", "/admin/users/{id}", self._delete),
            ("GET", "/admin/users/{id}/factors", self._factors),
        ]
        for method, path, handler in routes:
            serve = answering(self._for_the_service(handler), self._keys)
            app.router.add_route(method, f"{PREFIX}{path}", serve)

    def _for_the_service(self, handler: Handler) -> Handler:
        async def serve(request: web.Request) -> Any:
            scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or self._keys.read_role(bearer) != "service_role":
                raise Forbidden("This takes the service key; `playhall keys supabase` prints it.")
            return await handler(request)

        return serve

    # ------------------------------------------------------------------ accounts

    async def _list(self, request: web.Request) -> web.Response:
        page = _number(request, "page", 1, most=PAGES_MAX)
        size = _number(request, "per_page", PAGE_DEFAULT, most=PAGE_MAX)
        found, total = await self._metadata.list_accounts(limit=size, offset=(page - 1) * size)
        users = [await self._users.show_to_admin(user_id) for user_id in found]
        last = max(1, ceil(total / size))
        links = {"next": page + 1} if page < last else {}
        links["last"] = last
        written = ", ".join(
            f'</admin/users?page={number}&per_page={size}>; rel="{name}"'
            for name, number in links.items()
        )
        return web.Response(
            body=orjson.dumps({"users": users, "aud": "authenticated"}),
            content_type="application/json",
            headers={"X-Total-Count": str(total), "Link": written},
        )

    async def _read(self, request: web.Request) -> Any:
        shown = await self._show(_user_id(request))
        await self._metadata.record_read(shown["id"])
        return shown

    async def _show(self, user_id: UserId) -> dict[str, Any]:
        try:
            return await self._users.show_to_admin(user_id)
        except BadToken:
            raise UserNotFound from None

    async def _create(self, request: web.Request) -> Any:
        body = await read(request, _NewUser)
        _require_no_phone(body)
        if body.email is None:
            raise InvalidField("email: an account that is made here needs one.", field="email")
        has_password = body.password is not None or body.password_hash is not None
        if has_password and not body.email_confirm:
            raise InvalidField(
                "email_confirm: set it to true if the address is the person's own; else leave out "
                "the password, and whoever reads its mail signs in by `signInWithOtp`.",
                field="email_confirm",
            )
        user_id = await self._methods.add_account(
            ProvedSignInMethod(EMAIL, body.email),
            password_hash=await self._hash(body, request) or await self._unknown_hash(request),
            display_name=make_notes(body.user_metadata).display_name,
            metadata=body.metadata,
            user_id=None if body.id is None else UserId(body.id),
        )
        await self._ban(user_id, body.ban_duration)
        return await self._show(user_id)

    async def _change(self, request: web.Request) -> Any:
        user_id = _user_id(request)
        body = await read(request, _User)
        _require_no_phone(body)
        shown = await self._show(user_id)
        password_hash = await self._hash(body, request)
        email = body.email or shown["email"]
        if password_hash is not None and not email:
            raise InvalidField("password: the account needs an email, too.", field="password")
        if body.email is not None or password_hash is not None:
            if not shown["email"] and password_hash is None:
                password_hash = await self._unknown_hash(request)
            proved = ProvedSignInMethod(EMAIL, email)
            await self._methods.set_method(user_id, proved, password_hash=password_hash)
        if password_hash is not None:
            await self._revocation.end_all(user_id)
        await self._metadata.merge_on_record(user_id, body.metadata)
        await self._ban(user_id, body.ban_duration)
        return await self._show(user_id)

    async def _delete(self, request: web.Request) -> Any:
        user_id = _user_id(request)
        body = await read(request, _Deletion)
        if body.should_soft_delete:
            raise InvalidField(
                "should_soft_delete: leave it out to erase the account, or set `ban_duration`.",
                field="should_soft_delete",
            )
        shown = await self._show(user_id)
        await self._erasure().erase_user(user_id, actor=SERVICE_KEY)
        return shown

    async def _factors(self, request: web.Request) -> Any:
        await self._show(_user_id(request))
        return []

    async def _hash(self, body: _User, request: web.Request) -> str | None:
        if body.password is None:
            return body.password_hash
        return await self._passwords.hash(body.password, _asker(request))

    async def _unknown_hash(self, request: web.Request) -> str:
        """Hash a password that nobody has, until one is chosen."""
        return await self._passwords.hash(new_id() + new_id(), _asker(request))

    async def _ban(self, user_id: UserId, duration: str | None) -> None:
        if duration is None:
            return
        try:
            if duration == "none":
                await self._moderation.unban(user_id, actor=SERVICE_KEY)
                return
            ends_at = self._clock.now() + timedelta(seconds=parse_duration(duration))
            await self._moderation.ban(user_id, Ban(BAN_REASON, ends_at), actor=SERVICE_KEY)
        except NoSuchAccount:
            raise UserNotFound from None
        self._revocation.publish_banned(user_id)

    # ------------------------------------------------------------------ codes

    async def _invite(self, request: web.Request) -> Any:
        body = await read(request, _Invitation)
        self._email.require_mail()
        user_id = await self._add_invited(body.email, body.data)
        await self._email.mail_invitation(body.email, user_id)
        return await self._show_invited(user_id, body.email)

    async def _add_invited(self, email: str, data: dict[str, Any] | None) -> UserId:
        """Make an account that gets the address once its code is used; raise `MethodTaken`."""
        if await self._methods.find_account(EMAIL, email) is not None:
            raise MethodTaken
        notes = make_notes(data)
        return await self._methods.add_account(
            None, display_name=notes.display_name, metadata=Metadata(notes.user_data)
        )

    async def _show_invited(self, user_id: UserId, email: str) -> dict[str, Any]:
        now = wire_time(self._clock.now())
        return {**await self._show(user_id), "email": email, "invited_at": now}

    async def _generate_link(self, request: web.Request) -> Any:
        body = await read(request, _LinkRequest)
        found = await self._methods.find_account(EMAIL, body.email)

        async def make(email: str, target: str, **more: Any) -> str:
            record = RecordedCode(target, body.type)
            remote = request.remote or ""
            return await self._email.make_code(email, record=record, remote=remote, **more)

        notes = make_notes(body.data)
        if body.type == "invite":
            user_id = await self._add_invited(body.email, body.data)
            code = await make(body.email, user_id, user_id=user_id)
            user = await self._show_invited(user_id, body.email)
        elif body.type.startswith("email_change"):
            if found is None:
                raise UserNotFound
            if body.new_email is None:
                raise InvalidField("new_email: send the new address.", field="new_email")
            await self._methods.require_free(EMAIL, body.new_email, found.user_id)
            code = await make(body.new_email, found.user_id, user_id=found.user_id)
            user = {**await self._show(found.user_id), "new_email": body.new_email}
        elif found is not None:
            if body.type == "signup":
                raise MethodTaken
            address = self._methods.read_display_name(found)
            code = await make(address, found.user_id)
            user = await self._show(found.user_id)
        elif body.type == "recovery":
            raise UserNotFound
        else:
            if body.type == "signup" and body.password is None:
                raise InvalidField("password: a sign-up needs one.", field="password")
            code = await make(body.email, NO_ACCOUNT, password=body.password, notes=notes)
            now = wire_time(self._clock.now())
            user = {"id": new_id(), **show_pending(body.email, now=now, data=body.data)}
        return {
            **user,
            "action_link": confirm_link(self._server(), code),
            "email_otp": code,
            "hashed_token": code,
            "verification_type": body.type,
            "redirect_to": body.redirect_to,
        }


def parse_duration(text: str) -> float:
    """Read a duration as Go writes it, such as 24h or 1h30m, in seconds; raise `InvalidField`."""
    if not _DURATION.fullmatch(text):
        raise InvalidField(
            "ban_duration: write it as 24h or 1h30m, or none to lift the ban.", field="ban_duration"
        )
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(text))
    return min(seconds, _DURATION_S_MAX)


def _asker(request: web.Request) -> HashRequester:
    return HashRequester.at("account", request.remote or "")


def _require_no_phone(body: _User) -> None:
    if body.phone:
        raise InvalidField("phone: accounts here have an email.", field="phone")


def _user_id(request: web.Request) -> UserId:
    given = request.match_info["id"]
    if not _UUID.fullmatch(given):
        raise InvalidField(f"id: {quote(given[:60])} is no UUID.", field="id")
    return UserId(given)


def _number(request: web.Request, name: str, default: int, *, most: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= 1):
        raise InvalidField(f"{name}: send a number from 1 to {most}.", field=name)
    return min(int(text), most)
