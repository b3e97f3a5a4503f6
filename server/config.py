"""The configuration: one frozen object, read once, from `PLAYHALL_*` variables."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from protocol.email_address import BadAddress, parse_sender
from server.core.addresses import is_base_url, is_origin

Seconds = Annotated[float, Field(ge=0, le=86_400)]
Xp = Annotated[int, Field(ge=0, le=1_000_000)]


def _addresses(listed: str) -> str:
    for name in names_in(listed):
        try:
            ip_network(name)
        except ValueError:
            raise PydanticCustomError(
                "network",
                "write {name} as 10.0.0.7 or 10.0.0.0/8, separated by commas",
                {"name": name},
            ) from None
    return listed


def _sender(text: str) -> str:
    try:
        parse_sender(text)
    except BadAddress as why:
        raise PydanticCustomError(
            "sender", "write a sender such as Playhall <hall@example.org>; {why}", {"why": str(why)}
        ) from None
    return text


def _origins(listed: str) -> str:
    for name in names_in(listed):
        if name not in ("*", "null") and not is_origin(name):
            raise PydanticCustomError(
                "origin",
                "write {name} as https://play.example or https://play.example:8443, commas between",
                {"name": name},
            )
    return listed


def _public_url(text: str) -> str:
    """Take off the slash at the end: every path that is put behind it begins with one."""
    url = text.strip().rstrip("/")
    if url and not is_base_url(url):
        raise PydanticCustomError(
            "public_url", "write it as https://play.example or http://192.0.2.7:8080"
        )
    return url


class Config(BaseSettings):
    """What an operator can set; every field `x` is the variable `PLAYHALL_X`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_", frozen=True, extra="ignore")

    host: str = Field(
        default="127.0.0.1",
        description="Addresses to listen on, comma separated; :: includes IPv4.",
    )
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    public_url: Annotated[str, AfterValidator(_public_url)] = Field(
        default="", description="Where clients reach this node, if not at host:port."
    )
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    origins: Annotated[str, AfterValidator(_origins)] = Field(
        default="", description="Allowed browser origins, comma separated; * for any."
    )

    trusted_proxies: Annotated[str, AfterValidator(_addresses)] = Field(
        default="", description="Addresses and networks whose X-Forwarded-For is trusted."
    )

    lobby_grace_s: Seconds = Field(
        default=30.0,
        description="How long a member may be disconnected before they leave the lobby.",
    )
    peer_keys: str = Field(
        default="peerjs", description="Keys that PeerJS clients may use, comma separated."
    )
    peer_origins: Annotated[str, AfterValidator(_origins)] = Field(
        default="*",
        description="Origins whose pages may signal; * for any, since no cookie is used.",
    )
    peer_messages_per_s: Annotated[float, Field(gt=0)] = Field(
        default=100.0,
        description="Messages per second of a peer; bursts may be five times as large.",
    )
    peer_member_keys: str = Field(
        default="", description="Keys that only members of peer lobbies may use, comma separated."
    )
    peer_discovery: bool = Field(default=False, description="Let /peerjs/KEY/peers list ids.")

    stun_urls: str = Field(default="", description="stun:…, comma separated, for lobby members.")
    turn_urls: str = Field(
        default="", description="turn:…, turns:…, comma separated, for lobby members."
    )
    turn_secret: SecretStr | None = Field(
        default=None, description="The static-auth-secret of the TURN servers."
    )
    turn_ttl_s: Annotated[int, Field(ge=60, le=86_400)] = Field(
        default=3600, description="How long TURN credentials are valid."
    )

    data_dir: Path = Path(".playhall")
    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL 15 or newer; the bundled one if unset."
    )
    database_pool: Annotated[int, Field(ge=2, le=100)] = 8
    unsafe_database: bool = Field(
        default=False, description="Serve even if the database can lose what it confirmed."
    )
    writers: Annotated[int, Field(ge=1, le=16)] = 2

    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis or Valkey, through which nodes announce changes to each other.",
    )

    files_url: str = Field(
        default="", description="Where files are stored: s3://…, gs://…, az://…; else in data_dir."
    )
    files_bytes_per_user: Annotated[int, Field(ge=0)] = 268_435_456
    upload_url_s: Annotated[float, Field(ge=10, le=3600)] = 600.0

    rulesets_path: str = Field(default="", description="More folders with rulesets, `:` separated.")
    titles_path: str = Field(default="", description="Folders with title packages, `:` separated.")
    bot_pause_s: Seconds = Field(default=0.7, description="How long a bot waits before it moves.")
    quick_play_wait_s: Seconds = Field(
        default=10.0, description="How long quick play waits before bots fill the free seats."
    )
    closed_lobbies_kept_s: Annotated[float, Field(ge=60, le=31_536_000)] = Field(
        default=604_800.0, description="How long a closed lobby without a game or match is kept."
    )
    idle_game_s: Seconds = Field(
        default=300.0, description="How long an idle game stays in memory."
    )
    lease_s: Annotated[float, Field(ge=1, le=600)] = 10.0

    events_kept_s: Annotated[float, Field(ge=60, le=31_536_000)] = Field(
        default=86_400.0, description="How long an event is kept once every listener has it."
    )
    webhooks_private: bool = Field(
        default=False, description="Allow webhooks to private addresses, and without TLS."
    )
    webhook_deliveries_kept_s: Annotated[float, Field(ge=3600, le=31_536_000)] = Field(
        default=604_800.0, description="How long deliveries of webhooks are listed."
    )

    epochs: bool = Field(default=True, description="Create and advance the days of competition.")

    xp_per_game: Xp = Field(default=10, description="XP for a completed game.")
    xp_per_win: Xp = Field(default=25, description="Additional XP for winning it.")

    commands_per_s: Annotated[float, Field(gt=0)] = 50.0
    commands_burst: Annotated[float, Field(ge=1)] = 200.0
    guests_per_minute: Annotated[float, Field(gt=0)] = 600.0
    connections_max: Annotated[int, Field(ge=1)] = 20_000
    connections_per_address_max: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Connections from one network; a tenth of connections_max if unset.",
    )
    keepalive_timeout_s: Annotated[float, Field(ge=0.05, le=3600)] = Field(
        default=75.0, description="How long an HTTP connection may be idle between requests."
    )
    body_timeout_s: Annotated[float, Field(ge=0.05, le=3600)] = Field(
        default=10.0, description="Within which some of a request's body must arrive."
    )
    write_timeout_s: Annotated[float, Field(ge=0.05, le=3600)] = Field(
        default=20.0, description="Within which a client must read some of an answer."
    )
    outbox_bytes_max: Annotated[int, Field(ge=65_536)] = 1_048_576

    access_token_s: Annotated[int, Field(ge=30, le=86_400)] = 600
    refresh_token_s: Annotated[int, Field(ge=600)] = 30 * 86_400
    key_rotate_days: Annotated[float, Field(ge=1, le=3650)] = 30.0
    secret_keys: SecretStr | None = Field(
        default=None, description="Keys that seal personal data: `id:base64,…`, newest first."
    )

    smtp_url: SecretStr | None = Field(
        default=None,
        description="smtp://, smtps:// or smtp+plain://; else mail is written to a folder.",
    )
    mail_from: Annotated[str, AfterValidator(_sender)] = Field(
        default="Playhall <playhall@localhost>", description="Sender of emails."
    )
    supabase_url: str = Field(default="", description="Supabase project that holds the accounts.")
    supabase_jwt_secret: SecretStr | None = None
    discord_client_id: str = Field(default="", description="Application id at Discord.")
    discord_client_secret: SecretStr | None = None
    discord_url: str = "https://discord.com"
    sign_in_redirects: str = Field(
        default="http://127.0.0.1/", description="Where a sign-in may redirect to, comma separated."
    )

    chain_rpc_url: SecretStr | None = Field(
        default=None, description="JSON-RPC of a blockchain node; if unset, owners are not read."
    )
    chain_contracts: str = Field(
        default="", description="ERC-721 contracts, `chain_id:0x…`, comma separated."
    )
    chain_confirmations: Annotated[int, Field(ge=0, le=10_000)] = 12
    chain_start_block: Annotated[int, Field(ge=0)] = 0
    chain_poll_s: Annotated[float, Field(ge=0.1, le=3600)] = 12.0
    chain_reconcile_s: Annotated[float, Field(ge=60, le=31_536_000)] = 86_400.0

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


def names_in(listed: str) -> tuple[str, ...]:
    """Read names that are comma separated."""
    return tuple(filter(None, (name.strip() for name in listed.split(","))))
