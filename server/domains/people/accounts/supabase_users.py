"""What the clients of Supabase are shown of an account, and what they send of one."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from persistence.accounts.metadata import MetadataStore
from persistence.accounts.store import AccountStore
from protocol.accounts import Me
from protocol.ids import UserId
from protocol.limits import NAME_CHARS_MAX
from protocol.reserved_names import is_reserved
from protocol.text import sanitise_name
from server.core.clock import wire_time
from server.domains.people.accounts.codes import EMAIL
from server.domains.people.accounts.email import NewAccountNotes
from server.domains.people.accounts.sign_in_methods import SignInMethodService

SENT_BYTES_MAX: Final = 8192  # of metadata; stored, it takes up to twice as much
ROLE: Final = "authenticated"
_CALLED: Final = ("display_name", "full_name", "name", "username", "user_name")
_NO_BAN_ENDS: Final = "9999-12-31T00:00:00Z"


def _small(data: dict[str, Any]) -> dict[str, Any]:
    written = orjson.dumps(data)
    if len(written) > SENT_BYTES_MAX:
        raise PydanticCustomError("metadata", f"Send at most {SENT_BYTES_MAX} bytes")
    if rb"\u0000" in written:
        raise PydanticCustomError("metadata", "Leave out the character U+0000")
    return data


MetadataChange = Annotated[dict[str, Any], AfterValidator(_small)]


class ClientBody(BaseModel):
    """What a client sends; more than is of use here, such as `gotrue_meta_security`."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def make_notes(data: dict[str, Any] | None) -> NewAccountNotes:
    """Give what metadata says of somebody new, with the first of it that can be a name here."""
    data = data or {}
    for given in map(data.get, _CALLED):
        if isinstance(given, str):
            name = sanitise_name(given, chars_max=NAME_CHARS_MAX)
            if name and not is_reserved(name):
                return NewAccountNotes(name, data)
    return NewAccountNotes(None, data)


class SupabaseUsers:
    """Accounts as users of Supabase."""

    def __init__(
        self,
        *,
        read_me: Callable[[UserId], Awaitable[Me]],
        methods: SignInMethodService,
        metadata: MetadataStore,
        accounts: AccountStore,
    ) -> None:
        self._read_me = read_me
        self._methods = methods
        self._metadata = metadata
        self._accounts = accounts

    async def show(self, user_id: UserId) -> dict[str, Any]:
        """Show an account; raise `BadToken` if it is gone."""
        me = await self._read_me(user_id)
        kept = await self._metadata.read(user_id)
        identities = await self._identities(user_id)
        addresses = [each for each in identities if each["provider"] == EMAIL]
        providers = [each["provider"] for each in identities]
        confirmed = addresses[0]["created_at"] if addresses else None
        return {
            "id": user_id,
            "aud": ROLE,
            "role": ROLE,
            "email": addresses[0]["identity_data"]["email"] if addresses else "",
            "email_confirmed_at": confirmed,
            "confirmed_at": confirmed,
            "phone": "",
            "app_metadata": {
                **kept.app_data,
                "provider": providers[0] if providers else "anonymous",
                "providers": providers,
            },
            "user_metadata": {
                "username": me.username,
                "display_name": me.display_name,
                "avatar_url": me.avatar_url,
                "player_id": me.player_id,
                **kept.user_data,
            },
            "identities": identities,
            "created_at": me.created_at,
            "updated_at": me.updated_at,
            "is_anonymous": me.is_anonymous,
        }

    async def show_to_admin(self, user_id: UserId) -> dict[str, Any]:
        """Show an account to who holds the service key: with its ban."""
        shown = await self.show(user_id)
        if (ban := await self._accounts.find_active_ban(user_id)) is not None:
            ends = _NO_BAN_ENDS if ban.ends_at is None else wire_time(ban.ends_at)
            shown["banned_until"] = ends
        return shown

    async def _identities(self, user_id: UserId) -> list[dict[str, Any]]:
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
        return identities


def show_pending(email: str, *, now: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    """Show who has to prove an address first, as GoTrue does, whether or not it has an account."""
    return {
        "aud": ROLE,
        "role": ROLE,
        "email": email,
        "confirmation_sent_at": now,
        "app_metadata": {"provider": EMAIL, "providers": [EMAIL]},
        "user_metadata": data or {},
        "identities": [],
        "created_at": now,
        "updated_at": now,
        "is_anonymous": False,
    }
