"""`/v1/auth/email`, `/v1/auth/exchange`, `/v1/me/methods`: signing in with more than a device."""

from functools import partial

from persistence.accounts.sign_in import SignInMethod as Stored
from protocol import accounts as wire
from protocol.accounts import SessionsEnded, Tokens
from protocol.errors import (
    AccountDeactivated,
    BadCode,
    Banned,
    LastMethod,
    MethodTaken,
    NotFound,
    NotSetUp,
    Overloaded,
    RateLimited,
    WrongCredentials,
)
from protocol.ids import UserId
from server.core.clock import wire_time
from server.domains.people.accounts.codes import LIFETIMES_S
from server.domains.people.accounts.email import EmailSignIn
from server.domains.people.accounts.providers import ProviderSignIn
from server.domains.people.accounts.revocation import SessionRevocation
from server.domains.people.accounts.sign_in_methods import SignInMethodService
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG = "accounts"


class SignInRoutes:
    """The endpoints of signing in; those of providers answer `not_set_up` without `providers`.

    `elsewhere` is the service that keeps the accounts, if it is not this server.
    """

    def __init__(
        self,
        *,
        methods: SignInMethodService,
        revocation: SessionRevocation,
        email: EmailSignIn,
        providers: ProviderSignIn | None,
        elsewhere: str | None = None,
    ) -> None:
        self._methods = methods
        self._revocation = revocation
        self._email = email
        self._with_providers = providers
        self._elsewhere = elsewhere

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        offer = Endpoint(
            "GET",
            "/v1/auth/methods",
            "List the sign-in methods of this server.",
            self._offer,
            auth="none",
            answer=wire.OfferedSignInMethods,
            tag=TAG,
        )
        return [offer, *self._of_email(), *self._of_exchange(), *self._of_methods()]

    def _of_email(self) -> list[Endpoint]:
        public = partial(Endpoint, "POST", auth="none", tag=TAG)
        return [
            public(
                "/v1/auth/email",
                "Mail a code for registering or for choosing a new password.",
                self._ask,
                body=wire.EmailRequest,
                answer=wire.Mailed,
                errors=(RateLimited, NotSetUp),
            ),
            public(
                "/v1/auth/email/confirm",
                "Choose a password with a mailed code, or confirm a linked address.",
                self._confirm,
                body=wire.EmailConfirmation,
                answer=wire.Confirmed,
                errors=(
                    BadCode,
                    MethodTaken,
                    Banned,
                    AccountDeactivated,
                    RateLimited,
                    Overloaded,
                ),
            ),
            public(
                "/v1/auth/email/sign-in",
                "Sign in with email and password.",
                self._sign_in,
                body=wire.PasswordSignIn,
                answer=Tokens,
                errors=(WrongCredentials, RateLimited, Overloaded, Banned, AccountDeactivated),
            ),
        ]

    def _of_exchange(self) -> list[Endpoint]:
        return [
            Endpoint(
                "POST",
                "/v1/auth/exchange",
                "Exchange the code from a redirect for tokens.",
                self._exchange,
                auth="none",
                body=wire.Exchange,
                answer=Tokens,
                errors=(BadCode, Banned, AccountDeactivated, NotSetUp),
                tag=TAG,
            )
        ]

    def _of_methods(self) -> list[Endpoint]:
        own = partial(Endpoint, auth="required", tag=TAG)
        path = "/v1/me/methods"
        return [
            own("GET", path, "List your sign-in methods.", self._list, answer=wire.Methods),
            own(
                "POST",
                f"{path}/email",
                "Mail a code that links an address to your account.",
                self._link_email,
                body=wire.EmailLinkRequest,
                answer=wire.Mailed,
                errors=(WrongCredentials, RateLimited, Overloaded, NotSetUp),
            ),
            own(
                "POST",
                path + "/{kind}",
                "Link a provider, such as discord, to your account with the code from a redirect.",
                self._link_provider,
                body=wire.Exchange,
                answer=wire.Methods,
                errors=(BadCode, MethodTaken, NotSetUp),
            ),
            own(
                "DELETE",
                path + "/{kind}",
                "Unlink a sign-in method, such as email or discord, unless it is your only one.",
                self._unlink,
                answer=wire.Methods,
                errors=(LastMethod, NotFound),
            ),
            own(
                "POST",
                "/v1/me/password",
                "Change your password and end your other sessions.",
                self._change_password,
                body=wire.PasswordChange,
                answer=SessionsEnded,
                errors=(WrongCredentials, RateLimited, Overloaded),
            ),
        ]

    async def _offer(self, _: HttpRequest) -> wire.OfferedSignInMethods:
        if self._elsewhere is not None:
            return wire.OfferedSignInMethods(methods=["supabase"], url=self._elsewhere)
        offered = wire.OfferedSignInMethods(methods=["guest", "email"])
        if self._with_providers is not None:
            offered.methods += self._with_providers.providers
            offered.providers = dict(self._with_providers.providers)
        return offered

    # ------------------------------------------------------------------ email

    async def _ask(self, request: HttpRequest) -> wire.Mailed:
        body: wire.EmailRequest = request.body
        await self._email.mail_code(
            body.email, display_name=body.display_name, remote=request.remote
        )
        return wire.Mailed(expires_in=LIFETIMES_S["email"])

    async def _confirm(self, request: HttpRequest) -> wire.Confirmed:
        body: wire.EmailConfirmation = request.body
        confirmed = await self._email.confirm(
            body.code, body.password, remote=request.remote, reactivate=body.reactivate
        )
        await self._revocation.poll_on_all_nodes()
        return wire.Confirmed(done=confirmed.done, tokens=confirmed.tokens)

    async def _sign_in(self, request: HttpRequest) -> Tokens:
        body: wire.PasswordSignIn = request.body
        return await self._email.sign_in(
            body.email, body.password, remote=request.remote, reactivate=body.reactivate
        )

    async def _link_email(self, request: HttpRequest) -> wire.Mailed:
        body: wire.EmailLinkRequest = request.body
        await self._email.mail_link_code(
            request.who, body.email, password=body.password, remote=request.remote
        )
        return wire.Mailed(expires_in=LIFETIMES_S["email"])

    async def _change_password(self, request: HttpRequest) -> SessionsEnded:
        body: wire.PasswordChange = request.body
        who = request.who
        await self._email.change_password(
            who, body.password, body.new_password, remote=request.remote
        )
        return SessionsEnded(ended=await self._revocation.end_all(who.user_id, but=who.session_id))

    # ------------------------------------------------------------------ providers

    def _provider_sign_in(self) -> ProviderSignIn:
        if self._with_providers is None:
            raise NotSetUp
        return self._with_providers

    async def _exchange(self, request: HttpRequest) -> Tokens:
        body: wire.Exchange = request.body
        return await self._provider_sign_in().exchange(
            body.code, body.verifier, reactivate=body.reactivate
        )

    async def _link_provider(self, request: HttpRequest) -> wire.Methods:
        kind = request.parse_path(wire.KindPath).kind
        sign_in = self._provider_sign_in()
        await sign_in.link(request.who.user_id, kind, request.body.code, request.body.verifier)
        return await self._list(request)

    # ------------------------------------------------------------------ methods

    async def _list(self, request: HttpRequest) -> wire.Methods:
        return await read_sign_in_methods(request.who.user_id, self._methods)

    async def _unlink(self, request: HttpRequest) -> wire.Methods:
        kind = request.parse_path(wire.KindPath).kind
        await self._methods.unlink_method(request.who.user_id, kind)
        return await self._list(request)


async def read_sign_in_methods(user_id: UserId, methods: SignInMethodService) -> wire.Methods:
    """Read how somebody can sign in, as they are shown it."""
    return wire.Methods(
        methods=[_shown(each, methods) for each in await methods.list_methods_with_merged(user_id)]
    )


def _shown(method: Stored, methods: SignInMethodService) -> wire.Method:
    return wire.Method(
        kind=method.kind,
        name=methods.read_display_name(method),
        linked_at=wire_time(method.linked_at),
    )
