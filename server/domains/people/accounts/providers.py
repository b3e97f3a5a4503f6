"""What an identity provider is asked for, and what a code that came back from one is good for."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from pydantic import BaseModel, TypeAdapter, ValidationError

from persistence.rls import Requester
from protocol.accounts import DisplayName, Tokens
from protocol.errors import BadCode
from protocol.ids import SessionId, UserId
from server.domains.people.accounts.codes import REDIRECT, OneTimeCodes, VerifiedCode
from server.domains.people.accounts.sign_in_methods import ProvedSignInMethod, SignInMethodService

PROVIDER_TIMEOUT_S: Final = 10.0
_NAME: Final[TypeAdapter[str]] = TypeAdapter(DisplayName)


class OAuthState(BaseModel, frozen=True, strict=True):
    """What is remembered while a browser is at a provider; `until` is seconds since 1970."""

    provider: str
    state: str
    verifier: str
    nonce: str
    redirect: str
    challenge: str
    until: float
    links_to: str | None = None  # the account that it is linked to, once its verifier is sent
    linked_in: str | None = None  # the session that asked for that

    @property
    def link_owner(self) -> Requester | None:
        """Whose account it is linked to, and in which session that was asked for."""
        if self.links_to is None or self.linked_in is None:
            return None
        return Requester(UserId(self.links_to), SessionId(self.linked_in))


class ProviderIdentity(NamedTuple):
    """Whom a provider identified: an id without blanks that never changes, and a name or none."""

    id: str
    name: str


class ProviderRefused(Exception):
    """A provider did not accept what a browser brought back, or could not be asked.

    The message is for the log: it names no person, code, token or secret.
    """


class IdentityProvider(Protocol):
    """A service where people sign in: Discord, or any OpenID provider.

    `id` is the kind of the sign-in method and part of addresses, `name` is shown to people.
    """

    id: str
    name: str

    async def authorize_url(self, trip: OAuthState, callback: str) -> str:
        """Give where the browser is sent to; raise `ProviderRefused`."""
        ...

    async def identify(self, trip: OAuthState, callback: str, code: str) -> ProviderIdentity:
        """Trade the provider's code for who that is; raise `ProviderRefused`."""
        ...


def compute_challenge(verifier: str) -> str:
    """Give the S256 challenge of a verifier."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def require_verifier(proof: VerifiedCode, verifier: str) -> None:
    """Raise `BadCode` unless a verifier is the one behind a code's challenge."""
    challenge = proof.contents["challenge"]
    assert challenge is not None
    if not hmac.compare_digest(compute_challenge(verifier).encode(), challenge.encode()):
        raise BadCode("The verifier does not match the challenge that you sent.")


def display_name_of(*names: object) -> str:
    """Give the first name that may be a display name here, or nothing."""
    for name in names:
        try:
            return _NAME.validate_python(name[:64] if isinstance(name, str) else "")
        except ValidationError:
            continue
    return ""


class ProviderSignIn:
    """What a code that came back from one of the `providers` (names by ids) is good for."""

    def __init__(
        self, *, codes: OneTimeCodes, methods: SignInMethodService, providers: Mapping[str, str]
    ) -> None:
        self.providers = providers
        self._codes = codes
        self._methods = methods

    async def make_redirect_code(
        self,
        provider: str,
        who: ProviderIdentity,
        *,
        challenge: str,
        links_to: Requester | None = None,
    ) -> str:
        """Make the code that goes on the redirect; `links_to` is who asked for a link."""
        contents: dict[str, str | None] = {
            "kind": provider,
            "id": who.id,
            "name": who.name,
            "challenge": challenge,
        }
        if links_to is None:
            return await self._codes.make(REDIRECT, contents)
        contents["session"] = links_to.session_id
        return await self._codes.make(REDIRECT, contents, user_id=links_to.user_id)

    async def exchange(self, code: str, verifier: str, *, reactivate: bool = False) -> Tokens:
        """Sign in, with a new account if there is none, or link what was to be linked.

        Raises `BadCode`, `Banned`, `AccountDeactivated` or `MethodTaken`.
        """
        proof, proved = await self._read(code, verifier)
        if proof.user_id is not None:
            session = proof.contents["session"]
            assert session is not None
            owner = Requester(proof.user_id, SessionId(session))
            return await self._methods.link_and_sign_in(proof.code_hash, owner, proved)
        found = await self._methods.find_account(proved.kind, proved.name)
        if found is not None:
            return await self._methods.sign_in_with_code(
                proof.code_hash, found, reactivate=reactivate
            )
        name = proved.label or None
        return await self._methods.create_account(proof.code_hash, proved, display_name=name)

    async def link(self, user_id: UserId, kind: str, code: str, verifier: str) -> None:
        """Link to an account; raise `BadCode` or `MethodTaken`."""
        proof, proved = await self._read(code, verifier)
        if proof.user_id not in (None, user_id):
            raise BadCode("The code links to another account.")
        if proved.kind != kind:
            raise BadCode(
                f"The code is from {proved.kind}; link it at /v1/me/methods/{proved.kind}."
            )
        await self._methods.link_method(proof.code_hash, user_id, proved)

    async def _read(self, code: str, verifier: str) -> tuple[VerifiedCode, ProvedSignInMethod]:
        proof = await self._codes.read(REDIRECT, code)
        kind, its_id = proof.contents["kind"], proof.contents["id"]
        assert kind is not None
        assert its_id is not None
        require_verifier(proof, verifier)
        return proof, ProvedSignInMethod(kind, its_id, proof.contents["name"] or "")
