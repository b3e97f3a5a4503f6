"""`/auth/v1`: signing in with an unmodified Supabase client.

The accounts, sessions and tokens are the same as those of `/v1/auth`; only the addresses and the
shapes are Supabase's. An address is proved before there is an account: `signUp` mails a code, and
`verifyOtp` with it makes the account. Nobody learns whether an address has one.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from persistence.accounts.sessions import SessionStore
from protocol.accounts import Email, KnownEmail, Me, NewPassword, Tokens
from protocol.codec import read_json, validate
from protocol.errors import (
    AccountDeactivated,
    BadCode,
    BadFrame,
    BadToken,
    Banned,
    InvalidField,
    MethodTaken,
    NotFound,
    NotSetUp,
    PlayhallError,
    RateLimited,
    TokenExpired,
    WrongCredentials,
)
from protocol.ids import UserId, new_id
from protocol.limits import NAME_CHARS_MAX, TOKEN_CHARS_MAX
from protocol.reserved_names import is_reserved
from protocol.text import sanitise_name
from server.core.clock import Clock, wire_time
from server.domains.people.accounts.email import EMAIL, EmailSignIn
from server.domains.people.accounts.revocation import SessionRevocation
from server.domains.people.accounts.service import Accounts
from server.domains.people.accounts.sign_in_methods import SignInMethodService
from server.gateway.http.bodies import BODY_BYTES_MAX, read_body
from server.gateway.session.identity import NOT_FOR_BOTS, Identity
from server.gateway.supabase_keys import ApiKeys

PREFIX: Final = "/auth/v1"
# How long after signing in with the address a password is chosen without the one before.
RECENT: Final = timedelta(minutes=15)
_CALLED: Final = ("display_name", "full_name", "name", "username", "user_name")

Token = Annotated[str, Field(min_length=1, max_length=TOKEN_CHARS_MAX)]
Handler = Callable[[web.Request], Awaitable[Any]]


class _Body(BaseModel):
    """What the client sends besides is of no use here: `gotrue_meta_security`, `code_challenge`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    data: dict[str, Any] | None = None

    @property
    def display_name(self) -> str | None:
        """Say what somebody wants to be called; the first that can be a name here."""
        named = (self.data or {}).get
        for given in map(named, _CALLED):
            if isinstance(given, str):
                name = sanitise_name(given, chars_max=NAME_CHARS_MAX)
                if name and not is_reserved(name):
                    return name
        return None


class _SignUp(_Body):
    email: Email | None = None
    password: NewPassword | None = None


class _Password(_Body):
    email: KnownEmail
    password: Annotated[str, Field(min_length=1, max_length=1024)]


class _Refresh(_Body):
    refresh_token: Token


class _Otp(_Body):
    email: Email
    create_user: bool = True


class _Verify(_Body):
    type: Literal["signup", "invite", "magiclink", "recovery", "email_change", "email"]
    email: Email | None = None
    token: Token | None = None
    token_hash: Token | None = None


class _UserChange(_Body):
    email: Email | None = None
    password: NewPassword | None = None
    current_password: Annotated[str, Field(max_length=1024)] | None = None


class SupabaseAuth:
    """Serves the addresses; what they do is done by the services of `/v1/auth`."""

    def __init__(
        self,
        *,
        keys: ApiKeys,
        accounts: Accounts,
        guests: Callable[[str], None],
        read_me: Callable[[UserId], Awaitable[Me]],
        email: EmailSignIn,
        methods: SignInMethodService,
        sessions: SessionStore,
        revocation: SessionRevocation,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._accounts = accounts
        self._guests = guests
        self._read_me = read_me
        self._email = email
        self._methods = methods
        self._sessions = sessions
        self._revocation = revocation
        self._clock = clock

    def mount(self, app: web.Application) -> None:
        """Serve the addresses from an application."""
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/settings", self._settings),
            ("GET", "/health", self._health),
            ("GET", "/.well-known/jwks.json", self._jwks),
            ("POST", "/signup", self._sign_up),
            ("POST", "/token", self._token),
            ("POST", "/otp", self._otp),
            ("POST", "/magiclink", self._otp),
            ("POST", "/recover", self._recover),
            ("POST", "/verify", self._verify),
            ("GET", "/user", self._user),
            ("PUT", "/user", self._change_user),
            ("DELETE", "/user/identities/{kind}", self._unlink),
            ("POST", "/logout", self._logout),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, f"{PREFIX}{path}", self._answering(handler))

    def _answering(
        self, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                key = request.headers.get("apikey") or request.query.get("apikey", "")
                if not request.path.endswith("jwks.json") and self._keys.read_role(key) is None:
                    raise BadToken("Send the anonymous key as `apikey`.")
                body = await handler(request)
            except PlayhallError as error:
                return _error_response(error)
            if body is None:
                return web.Response(status=204)
            return web.Response(body=orjson.dumps(body), content_type="application/json")

        return answer

    async def _identify(self, request: web.Request) -> Identity:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise BadToken("Send an access token: Authorization: Bearer …")
        identity = await self._accounts.authenticate(token)
        if identity.bot is not None:
            raise BadToken(NOT_FOR_BOTS)
        return identity

    # ------------------------------------------------------------------ what there is

    async def _settings(self, _: web.Request) -> Any:
        return {
            "external": {"anonymous_users": True, "email": True, "phone": False},
            "disable_signup": False,
            "mailer_autoconfirm": False,
            "phone_autoconfirm": False,
            "sms_provider": "",
            "saml_enabled": False,
        }

    async def _health(self, _: web.Request) -> Any:
        return {"name": "Playhall", "description": "Accounts for the Supabase clients"}

    async def _jwks(self, _: web.Request) -> Any:
        """List no key: the client knows no EdDSA, and asks `/user` for a token without a key."""
        return {"keys": []}

    # ------------------------------------------------------------------ signing in

    async def _sign_up(self, request: web.Request) -> Any:
        body = await _read(request, _SignUp)
        remote = request.remote or ""
        if body.email is None:
            self._guests(remote)
            return await self._session(await self._accounts.create_guest(body.display_name))
        if body.password is None:
            raise InvalidField("password: choose one with at least 8 characters.", field="password")
        await self._email.mail_sign_up_code(
            body.email, body.password, display_name=body.display_name, remote=remote
        )
        # As GoTrue answers it, whether or not there is an account: nobody is anybody yet.
        now = wire_time(self._clock.now())
        return {
            "id": new_id(),
            "aud": "authenticated",
            "role": "authenticated",
            "email": body.email,
            "confirmation_sent_at": now,
            "app_metadata": {"provider": EMAIL, "providers": [EMAIL]},
            "user_metadata": {},
            "identities": [],
            "created_at": now,
            "is_anonymous": False,
        }

    async def _token(self, request: web.Request) -> Any:
        grant = request.query.get("grant_type", "")
        if grant == "password":
            body = await _read(request, _Password)
            tokens = await self._email.sign_in(
                body.email, body.password, remote=request.remote or ""
            )
        elif grant == "refresh_token":
            given = await _read(request, _Refresh)
            try:
                tokens = await self._accounts.refresh(given.refresh_token)
            except BadToken as error:
                raise _RefreshRefused(error.message) from None
        else:
            raise InvalidField(
                "grant_type: password and refresh_token are supported.", field="grant_type"
            )
        return await self._session(tokens)

    async def _otp(self, request: web.Request) -> Any:
        body = await _read(request, _Otp)
        await self._email.mail_sign_in_code(
            body.email,
            may_register=body.create_user,
            display_name=body.display_name,
            remote=request.remote or "",
        )
        return {}

    async def _recover(self, request: web.Request) -> Any:
        body = await _read(request, _Otp)
        await self._email.mail_sign_in_code(
            body.email, may_register=False, display_name=None, remote=request.remote or ""
        )
        return {}

    async def _verify(self, request: web.Request) -> Any:
        body = await _read(request, _Verify)
        code = body.token or body.token_hash
        if code is None or (body.token_hash is None and body.email is None):
            raise InvalidField(
                "token: send the code from the email, and the address.", field="token"
            )
        tokens = await self._email.redeem(code, email=body.email, remote=request.remote or "")
        return await self._session(tokens)

    async def _session(self, tokens: Tokens) -> Any:
        return {
            "access_token": tokens.access_token,
            "token_type": "bearer",
            "expires_in": tokens.expires_in,
            "expires_at": int(self._clock.now().timestamp()) + tokens.expires_in,
            "refresh_token": tokens.refresh_token,
            "user": await self._shown(UserId(tokens.user_id)),
        }

    # ------------------------------------------------------------------ who somebody is

    async def _user(self, request: web.Request) -> Any:
        return await self._shown((await self._identify(request)).user_id)

    async def _change_user(self, request: web.Request) -> Any:
        who = await self._identify(request)
        body = await _read(request, _UserChange)
        remote = request.remote or ""
        if body.data:
            raise InvalidField(
                "data: a person's metadata is their profile; change it in the table `profiles`.",
                field="data",
            )
        if body.password is not None:
            if body.current_password is not None:
                await self._email.change_password(
                    who, body.current_password, body.password, remote=remote
                )
            else:
                await self._require_recent(who)
                await self._email.set_password(who, body.password, remote=remote)
            await self._revocation.end_all(who.user_id, but=who.session_id)
        if body.email is not None:
            await self._email.mail_link_code(
                who, body.email, password=body.current_password, remote=remote
            )
        shown = await self._shown(who.user_id)
        return shown if body.email is None else {**shown, "new_email": body.email}

    async def _require_recent(self, who: Identity) -> None:
        """Raise `WrongCredentials` unless somebody has just signed in with the address."""
        for session in await self._sessions.list_sessions(who.user_id):
            is_recent = session.created_at > self._clock.now() - RECENT
            if session.session_id == who.session_id and session.method == EMAIL and is_recent:
                return
        raise WrongCredentials(
            "Send `current_password`, or sign in again with your email address first.",
            field="current_password",
        )

    async def _unlink(self, request: web.Request) -> Any:
        who = await self._identify(request)
        await self._methods.unlink_method(who.user_id, request.match_info["kind"][:64])
        return {}

    async def _shown(self, user_id: UserId) -> dict[str, Any]:
        me = await self._read_me(user_id)
        identities: list[dict[str, Any]] = []
        for method in await self._methods.list_methods(user_id):
            name, linked = self._methods.read_display_name(method), wire_time(method.linked_at)
            of_kind = {"email": name} if method.kind == EMAIL else {"name": name}
            identities.append(
                {
                    "id": method.kind,
                    "identity_id": method.kind,
                    "user_id": user_id,
                    "provider": method.kind,
                    "identity_data": {"sub": user_id, **of_kind},
                    "created_at": linked,
                    "updated_at": linked,
                    "last_sign_in_at": linked,
                }
            )
        addresses = [each for each in identities if each["provider"] == EMAIL]
        providers = [each["provider"] for each in identities]
        confirmed = addresses[0]["created_at"] if addresses else None
        return {
            "id": user_id,
            "aud": "authenticated",
            "role": "authenticated",
            "email": addresses[0]["identity_data"]["email"] if addresses else "",
            "email_confirmed_at": confirmed,
            "confirmed_at": confirmed,
            "phone": "",
            "app_metadata": {
                "provider": providers[0] if providers else "anonymous",
                "providers": providers,
            },
            "user_metadata": {
                "username": me.username,
                "display_name": me.display_name,
                "avatar_url": me.avatar_url,
                "player_id": me.player_id,
            },
            "identities": identities,
            "created_at": me.created_at,
            "updated_at": me.updated_at,
            "is_anonymous": me.is_anonymous,
        }

    # ------------------------------------------------------------------ signing out

    async def _logout(self, request: web.Request) -> None:
        who = await self._identify(request)
        scope = request.query.get("scope", "global")
        if scope == "local":
            await self._accounts.end_session(who.session_id)
        elif scope == "others":
            await self._revocation.end_all(who.user_id, but=who.session_id)
        else:
            await self._revocation.end_all(who.user_id)


class _RefreshRefused(BadToken):
    """The refresh token is not good; sign in again."""


async def _read(request: web.Request, model: type[Any]) -> Any:
    data = read_json(await read_body(request, BODY_BYTES_MAX) or b"{}")
    return validate(model, data)


# How GoTrue says it: the status and the code, by our error; the first that fits.
_CODES: Final[tuple[tuple[type[PlayhallError], int, str], ...]] = (
    (_RefreshRefused, 400, "refresh_token_not_found"),
    (TokenExpired, 401, "bad_jwt"),
    (BadToken, 401, "bad_jwt"),
    (WrongCredentials, 400, "invalid_credentials"),
    (BadCode, 403, "otp_expired"),
    (Banned, 403, "user_banned"),
    (AccountDeactivated, 403, "user_banned"),
    (RateLimited, 429, "over_request_rate_limit"),
    (MethodTaken, 422, "email_exists"),
    (NotSetUp, 400, "email_provider_disabled"),
    (NotFound, 404, "identity_not_found"),
    (InvalidField, 422, "validation_failed"),
    (BadFrame, 400, "bad_json"),
)


def _error_response(error: PlayhallError) -> web.Response:
    known = ((status, code) for kind, status, code in _CODES if isinstance(error, kind))
    status, code = next(known, (error.status, error.wire_code))
    if isinstance(error, InvalidField) and error.field == "password":
        code = "weak_password"
    body: dict[str, Any] = {"code": status, "error_code": code, "msg": error.message}
    if code == "weak_password":
        body["weak_password"] = {"reasons": ["length"]}
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return web.Response(
        body=orjson.dumps(body), status=status, content_type="application/json", headers=headers
    )
