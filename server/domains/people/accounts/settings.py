"""Accounts: guests, tokens, and who else signs people in."""

from collections import Counter
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr
from pydantic_core import PydanticCustomError

from server.core.settings import Settings

# Kinds of sign-in methods that are no OpenID provider's, and parts of addresses beside theirs.
RESERVED_IDS: Final = frozenset(
    ["dev", "discord", "email", "exchange", "guest", "logout", "methods", "password", "refresh"]
)
PROVIDERS_MAX: Final = 16
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def is_safe_url(url: str) -> bool:
    """Say whether a URL is one of TLS, or of this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if "@" in parts.netloc or not host or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def _issuer(url: str) -> str:
    if not is_safe_url(url) or "?" in url or "#" in url:
        raise PydanticCustomError(
            "issuer", "write it as https://accounts.example; http:// only for this machine"
        )
    return url


class OidcProvider(BaseModel, frozen=True, extra="forbid"):
    """An OpenID provider, as an operator describes it; `id` is part of addresses and stays."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    issuer: Annotated[str, AfterValidator(_issuer)]
    client_id: Annotated[str, Field(min_length=1, max_length=500)]
    client_secret: SecretStr | None = None
    algorithm: Literal["RS256", "PS256", "ES256", "EdDSA"] = "RS256"


def _distinct(providers: tuple[OidcProvider, ...]) -> tuple[OidcProvider, ...]:
    counts = Counter(provider.id for provider in providers)
    for name, count in counts.items():
        if count > 1 or name in RESERVED_IDS:
            raise PydanticCustomError(
                "provider", "the id {name} is taken; choose another one", {"name": name}
            )
    return providers


class AccountSettings(Settings):
    """Tokens, keys, Supabase, Discord and OpenID providers."""

    guests_per_minute: Annotated[float, Field(gt=0)] = 600.0
    access_token_s: Annotated[int, Field(ge=30, le=86_400)] = 600
    refresh_token_s: Annotated[int, Field(ge=600)] = 30 * 86_400
    key_rotate_days: Annotated[float, Field(ge=1, le=3650)] = 30.0
    supabase_url: str = Field(default="", description="Supabase project that holds the accounts.")
    supabase_jwt_secret: SecretStr | None = None
    discord_client_id: str = Field(default="", description="Application id at Discord.")
    discord_client_secret: SecretStr | None = None
    discord_url: str = "https://discord.com"
    oidc_providers: (
        Annotated[
            tuple[OidcProvider, ...], Field(max_length=PROVIDERS_MAX), AfterValidator(_distinct)
        ]
        | None
    ) = Field(default=None, description="OpenID providers that sign people in, as a JSON list.")
    merge_undo_s: Annotated[float, Field(ge=60, le=31_536_000)] = Field(
        default=7 * 86_400.0, description="How long the merge of two accounts can be undone."
    )
    dev_login: bool = Field(
        default=False, description="Let anybody sign in as anybody; only on loopback addresses."
    )
    sign_in_redirects: str = Field(
        default="http://127.0.0.1/", description="Where a sign-in may redirect to, comma separated."
    )
