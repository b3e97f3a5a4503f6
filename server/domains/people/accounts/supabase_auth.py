"""`/auth/v1`: signing in with an unmodified Supabase client.

The accounts, sessions and tokens are the same as those of `/v1/auth`; only the addresses and the
shapes are Supabase's. An address is proved before there is an account: `signUp` mails a code, and
`verifyOtp` with it makes the account. Nobody learns whether an address has one.

With `flowType: 'pkce'` the link of a mail, and the way back from a provider, lead to the
application (`PLAYHALL_SIGN_IN_REDIRECTS`) with a code that its own verifier alone makes good.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlencode

import orjson
from aiohttp import web
from pydantic import BaseModel, Field, StringConstraints

from persistence.accounts.metadata import Metadata, MetadataStore
from persistence.accounts.sessions import SessionStore
from protocol.accounts import Challenge, Code, Email, KnownEmail, NewPassword, Tokens
from protocol.codec import read_json, validate
from protocol.errors import (
    AccountDeactivated,
    BadCode,
    BadFrame,
    BadToken,
    Banned,
    Forbidden,
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
from protocol.limits import TOKEN_CHARS_MAX
from server.core.clock import Clock, wire_time
from server.domains.interfaces import TokenScope
from server.domains.people.accounts.browser_sign_in import (
    is_allowed,
    link_claims,
    start_path,
    with_error_page,
)
from server.domains.people.accounts.codes import EMAIL, UnknownCode
from server.domains.people.accounts.email import ClientLink, EmailSignIn
from server.domains.people.accounts.providers import ProviderSignIn
from server.domains.people.accounts.revocation import SessionRevocation
from server.domains.people.accounts.service import Accounts
from server.domains.people.accounts.sign_in_methods import SignInMethodService
from server.domains.people.accounts.supabase_users import (
    ClientBody,
    MetadataChange,
    SupabaseUsers,
    make_notes,
    show_pending,
)
from server.gateway.http.bodies import BODY_BYTES_MAX, read_body
from server.gateway.session.identity import NOT_FOR_BOTS, Identity
from server.gateway.supabase_keys import ApiKeys

PREFIX: Final = "/auth/v1"
# How long after signing in with the address a password is chosen without the one before.
RECENT: Final = timedelta(minutes=15)
REDIRECT_CHARS_MAX: Final = 2000

Token = Annotated[str, Field(min_length=1, max_length=TOKEN_CHARS_MAX)]
Redirect = Annotated[str, StringConstraints(max_length=REDIRECT_CHARS_MAX)]
Handler = Callable[[web.Request], Awaitable[Any]]
Model = TypeVar("Model", bound=BaseModel)


class _WithChallenge(ClientBody):
    """What a client of the PKCE flow sends with whatever is mailed."""

    code_challenge: Challenge | None = None
    code_challenge_method: str | None = None
    redirect_to: Redirect | None = None


class _SignUp(_WithChallenge):
    data: MetadataChange | None = None
    email: Email | None = None
    password: NewPassword | None = None


class _Password(ClientBody):
    email: KnownEmail
    password: Annotated[str, Field(min_length=1, max_length=1024)]


class _Refresh(ClientBody):
    refresh_token: Token


class _Exchange(ClientBody):
    auth_code: Code
    code_verifier: Annotated[str, StringConstraints(min_length=43, max_length=128)]


class _Otp(_WithChallenge):
    data: MetadataChange | None = None
    email: Email
    create_user: bool = True


class _Resend(_WithChallenge):
    type: Literal["signup", "email_change"]
    email: Email


class _Verify(ClientBody):
    type: Literal["signup", "invite", "magiclink", "recovery", "email_change", "email"]
    email: Email | None = None
    token: Token | None = None
    token_hash: Token | None = None


class _UserChange(_WithChallenge):
    data: MetadataChange | None = None
    email: Email | None = None
    password: NewPassword | None = None
    current_password: Annotated[str, Field(max_length=1024)] | None = None


class _Authorize(ClientBody):
    provider: Annotated[str, StringConstraints(max_length=64)]
    redirect_to: Redirect | None = None
    code_challenge: Challenge | None = None
    code_challenge_method: str | None = None


class SupabaseAuth:
    """Serves the addresses; what they do is done by the services of `/v1/auth`.

    `redirects` are the targets that are allowed, comma separated; `links` makes tokens that link a
    provider to an account; `server` says where this one is.
    """

    def __init__(
        self,
        *,
        keys: ApiKeys,
        accounts: Accounts,
        users: SupabaseUsers,
        guests: Callable[[str], None],
        email: EmailSignIn,
        methods: SignInMethodService,
        metadata: MetadataStore,
        providers: ProviderSignIn,
        links: TokenScope,
        redirects: str,
        sessions: SessionStore,
        revocation: SessionRevocation,
        clock: Clock,
        server: Callable[[], str],
    ) -> None:
        self._keys = keys
        self._accounts = accounts
        self._users = users
        self._guests = guests
        self._email = email
        self._methods = methods
        self._metadata = metadata
        self._providers = providers
        self._links = links
        self._redirects = redirects
        self._sessions = sessions
        self._revocation = revocation
        self._clock = clock
        self._server = server

    def mount(self, app: web.Application) -> None:
        """Serve the addresses from an application."""
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/settings", self._settings),
            ("GET", "/health", self._health),
            ("POST", "/signup", self._sign_up),
            ("POST", "/token", self._token),
            ("POST", "/otp", self._otp),
            ("POST", "/magiclink", self._otp),
            ("POST", "/recover", self._recover),
            ("POST", "/resend", self._resend),
            ("POST", "/verify", self._verify),
            ("GET", "/user", self._user),
            ("PUT", "/user", self._change_user),
            ("GET", "/user/identities/authorize", self._link_identity),
            ("DELETE", "/user/identities/{kind}", self._unlink),
            ("POST", "/logout", self._logout),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, f"{PREFIX}{path}", answering(handler, self._keys))
        # A browser is sent here, and whoever verifies tokens fetches the keys: without an API key.
        app.router.add_get(f"{PREFIX}/authorize", with_error_page(self._authorize))
        app.router.add_get(f"{PREFIX}/.well-known/jwks.json", answering(self._jwks, None))

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
        external = dict.fromkeys(self._providers.providers, True)
        return {
            "external": {"anonymous_users": True, "email": True, "phone": False, **external},
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
        body = await read(request, _SignUp)
        remote = request.remote or ""
        if body.email is None:
            self._guests(remote)
            notes = make_notes(body.data)
            tokens = await self._accounts.create_guest(
                notes.display_name, metadata=Metadata(notes.user_data)
            )
            return await self._session(tokens)
        if body.password is None:
            raise InvalidField("password: choose one with at least 8 characters.", field="password")
        await self._email.mail_sign_up_code(
            body.email,
            body.password,
            notes=make_notes(body.data),
            remote=remote,
            back=self._back(body, request),
        )
        now = wire_time(self._clock.now())
        return {"id": new_id(), **show_pending(body.email, now=now)}

    def _back(self, body: _WithChallenge, request: web.Request) -> ClientLink | None:
        """Say where the link of a mail leads: to the application, if it has sent a challenge."""
        target = body.redirect_to or request.query.get("redirect_to")
        if body.code_challenge is None or not target:
            return None
        return self._client_link(target, body.code_challenge, body.code_challenge_method)

    def _client_link(self, target: str, challenge: str, method: str | None) -> ClientLink:
        if (method or "").lower() != "s256":
            raise InvalidField(
                "code_challenge_method: s256 is supported; the client uses it where there is "
                "crypto.subtle, so in pages of https and of localhost.",
                field="code_challenge_method",
            )
        if len(target) > REDIRECT_CHARS_MAX or not is_allowed(target, self._redirects):
            raise InvalidField(
                "redirect_to: it must be one of PLAYHALL_SIGN_IN_REDIRECTS.", field="redirect_to"
            )
        return ClientLink(target, challenge)

    async def _token(self, request: web.Request) -> Any:
        grant = request.query.get("grant_type", "")
        if grant == "password":
            body = await read(request, _Password)
            tokens = await self._email.sign_in(
                body.email, body.password, remote=request.remote or ""
            )
        elif grant == "refresh_token":
            given = await read(request, _Refresh)
            try:
                tokens = await self._accounts.refresh(given.refresh_token)
            except BadToken as error:
                raise _RefreshRefused(error.message) from None
        elif grant == "pkce":
            tokens = await self._exchange(await read(request, _Exchange), request.remote or "")
        else:
            raise InvalidField(
                "grant_type: password, refresh_token and pkce are supported.", field="grant_type"
            )
        return await self._session(tokens)

    async def _exchange(self, body: _Exchange, remote: str) -> Tokens:
        try:
            return await self._email.exchange(body.auth_code, body.code_verifier, remote=remote)
        except UnknownCode:  # then it may come from a provider
            return await self._providers.exchange(body.auth_code, body.code_verifier)

    async def _otp(self, request: web.Request) -> Any:
        body = await read(request, _Otp)
        await self._email.mail_sign_in_code(
            body.email,
            may_register=body.create_user,
            notes=make_notes(body.data),
            remote=request.remote or "",
            back=self._back(body, request),
        )
        return {}

    async def _recover(self, request: web.Request) -> Any:
        body = await read(request, _Otp)
        await self._email.mail_sign_in_code(
            body.email,
            may_register=False,
            remote=request.remote or "",
            back=self._back(body, request),
        )
        return {}

    async def _resend(self, request: web.Request) -> Any:
        body = await read(request, _Resend)
        await self._email.mail_again(
            body.email,
            is_link=body.type == "email_change",
            remote=request.remote or "",
            back=self._back(body, request),
        )
        return {}

    # ------------------------------------------------------------------ providers

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = validate(_Authorize, dict(request.query))
        return _sent_to(self._start_url(asked))

    async def _link_identity(self, request: web.Request) -> Any:
        who = await self._identify(request)
        asked = validate(_Authorize, dict(request.query))
        claims = link_claims(
            who.requester, asked.provider, asked.redirect_to or "", asked.code_challenge or ""
        )
        url = self._start_url(asked, link=lambda: self._links.write(claims).token)
        is_shown = request.query.get("skip_http_redirect", "").lower() == "true"
        return {"url": url} if is_shown else _sent_to(url)

    def _start_url(self, asked: _Authorize, link: Callable[[], str] | None = None) -> str:
        """Give the address at which a browser sets out to a provider; raise `InvalidField`."""
        if asked.provider not in self._providers.providers:
            known = ", ".join(self._providers.providers) or "none"
            raise _UnknownProvider(
                f"provider: this server has {known}; see PLAYHALL_OIDC_PROVIDERS.",
                field="provider",
            )
        if asked.code_challenge is None:
            raise InvalidField(
                "code_challenge: create the client with `auth: { flowType: 'pkce' }`.",
                field="code_challenge",
            )
        if not asked.redirect_to:
            raise InvalidField(
                "redirect_to: send `options: { redirectTo }`, one of PLAYHALL_SIGN_IN_REDIRECTS.",
                field="redirect_to",
            )
        back = self._client_link(
            asked.redirect_to, asked.code_challenge, asked.code_challenge_method
        )
        query = {"redirect": back.redirect, "challenge": back.challenge}
        if link is not None:
            query["link"] = link()
        return f"{self._server()}{start_path(asked.provider)}?{urlencode(query)}"

    # ------------------------------------------------------------------ codes and sessions

    async def _verify(self, request: web.Request) -> Any:
        body = await read(request, _Verify)
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
            "user": await self._users.show(UserId(tokens.user_id)),
        }

    # ------------------------------------------------------------------ who somebody is

    async def _user(self, request: web.Request) -> Any:
        return await self._users.show((await self._identify(request)).user_id)

    async def _change_user(self, request: web.Request) -> Any:
        who = await self._identify(request)
        body = await read(request, _UserChange)
        remote = request.remote or ""
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
                who,
                body.email,
                password=body.current_password,
                remote=remote,
                back=self._back(body, request),
            )
        if body.data:
            await self._metadata.merge(who.user_id, Metadata(body.data))
        shown = await self._users.show(who.user_id)
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


class _UnknownProvider(InvalidField):
    """There is no such provider here."""


class UserNotFound(NotFound):
    """There is no account with this id."""


async def read(request: web.Request, model: type[Model]) -> Model:
    """Read the body of a request; raise `BadFrame`, `TooLarge` or `InvalidField`."""
    data = read_json(await read_body(request, BODY_BYTES_MAX) or b"{}")
    return validate(model, data)


def answering(
    handler: Handler, keys: ApiKeys | None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answer as GoTrue does; with `keys`, whoever sends one of them."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            key = request.headers.get("apikey") or request.query.get("apikey", "")
            if keys is not None and keys.read_role(key) is None:
                raise BadToken("Send the anonymous key as `apikey`.")
            body = await handler(request)
        except PlayhallError as error:
            return _error_response(error)
        if body is None:
            return web.Response(status=204)
        if isinstance(body, web.StreamResponse):
            return body
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    return answer


def _sent_to(url: str) -> web.Response:
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(status=web.HTTPSeeOther.status_code, headers=headers)


# How GoTrue says it: the status and the code, by our error; the first that fits.
_CODES: Final[tuple[tuple[type[PlayhallError], int, str], ...]] = (
    (_RefreshRefused, 400, "refresh_token_not_found"),
    (_UnknownProvider, 400, "validation_failed"),
    (UserNotFound, 404, "user_not_found"),
    (TokenExpired, 401, "bad_jwt"),
    (BadToken, 401, "bad_jwt"),
    (WrongCredentials, 400, "invalid_credentials"),
    (BadCode, 403, "otp_expired"),
    (Banned, 403, "user_banned"),
    (AccountDeactivated, 403, "user_banned"),
    (RateLimited, 429, "over_request_rate_limit"),
    (MethodTaken, 422, "email_exists"),
    (Forbidden, 403, "not_admin"),
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
