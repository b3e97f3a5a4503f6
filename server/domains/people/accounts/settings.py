"""Accounts: guests, tokens, and who else signs people in."""

from typing import Annotated

from pydantic import Field, SecretStr

from server.core.settings import Settings


class AccountSettings(Settings):
    """Tokens, keys, Supabase and Discord."""

    guests_per_minute: Annotated[float, Field(gt=0)] = 600.0
    access_token_s: Annotated[int, Field(ge=30, le=86_400)] = 600
    refresh_token_s: Annotated[int, Field(ge=600)] = 30 * 86_400
    key_rotate_days: Annotated[float, Field(ge=1, le=3650)] = 30.0
    supabase_url: str = Field(default="", description="Supabase project that holds the accounts.")
    supabase_jwt_secret: SecretStr | None = None
    discord_client_id: str = Field(default="", description="Application id at Discord.")
    discord_client_secret: SecretStr | None = None
    discord_url: str = "https://discord.com"
    sign_in_redirects: str = Field(
        default="http://127.0.0.1/", description="Where a sign-in may redirect to, comma separated."
    )
