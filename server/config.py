"""What belongs to the node and not to a domain: where it listens, stores and logs, and its limits.

What a domain can be set to is in its own `settings.py`; see `server.core.settings`.
"""

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from protocol.email_address import InvalidAddress, parse_sender
from server.core.addresses import is_base_url
from server.core.settings import Origins, Settings, split_names


def _addresses(listed: str) -> str:
    for name in split_names(listed):
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
    except InvalidAddress as why:
        raise PydanticCustomError(
            "sender", "write a sender such as Playhall <hall@example.org>; {why}", {"why": str(why)}
        ) from None
    return text


def _public_url(text: str) -> str:
    """Take off the slash at the end: every path that is put behind it begins with one."""
    url = text.strip().rstrip("/")
    if url and not is_base_url(url):
        raise PydanticCustomError(
            "public_url", "write it as https://play.example or http://192.0.2.7:8080"
        )
    return url


def _collector_url(text: str) -> str:
    url = text.strip().rstrip("/")
    if url and not is_base_url(url):
        raise PydanticCustomError(
            "collector_url",
            "write it as http://127.0.0.1:4318; traces are sent to /v1/traces below it",
        )
    return url


class Config(Settings):
    """What an operator can set of a node, whatever its domains."""

    host: str = Field(
        default="127.0.0.1",
        description="Addresses to listen on, comma separated; :: includes IPv4.",
    )
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    workers: Annotated[int, Field(ge=1, le=32)] = Field(
        default=1, description="Processes behind the one port, each a node of its own."
    )
    public_url: Annotated[str, AfterValidator(_public_url)] = Field(
        default="", description="Where clients reach this node, if not at host:port."
    )
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    hsts_s: Annotated[int, Field(ge=0, le=63_072_000)] = Field(
        default=31_536_000,
        description="How long browsers must use TLS for this host; 0 for not at all.",
    )
    origins: Origins = Field(
        default="", description="Allowed browser origins, comma separated; * for any."
    )

    trusted_proxies: Annotated[str, AfterValidator(_addresses)] = Field(
        default="", description="Addresses and networks whose X-Forwarded-For is trusted."
    )

    data_dir: Path = Path(".playhall")
    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL 15 or newer; the bundled one if unset."
    )
    database_pool: Annotated[int, Field(ge=2, le=100)] = 8
    database_replica_url: SecretStr | None = Field(
        default=None, description="A standby, from which what may be a little old is read."
    )
    database_replica_lag_s: Annotated[float, Field(ge=0.1, le=60)] = Field(
        default=5.0, description="Above this lag of the standby, the primary is read instead."
    )
    unsafe_database: bool = Field(
        default=False, description="Serve even if the database can lose what it confirmed."
    )

    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis or Valkey, through which nodes announce changes to each other.",
    )

    files_url: str = Field(
        default="", description="Where files are stored: s3://…, gs://…, az://…; else in data_dir."
    )

    rulesets_path: str = Field(default="", description="More folders with rulesets, `:` separated.")
    reload_rulesets: bool = Field(
        default=False, description="Load rulesets again when they change; on loopback only."
    )
    titles_path: str = Field(default="", description="Folders with title packages, `:` separated.")

    events_kept_s: Annotated[float, Field(ge=60, le=31_536_000)] = Field(
        default=86_400.0, description="How long an event is kept once every listener has it."
    )
    events_dead_kept_s: Annotated[float, Field(ge=3600, le=31_536_000)] = Field(
        default=604_800.0, description="How long an event is kept that was given up."
    )

    commands_per_s: Annotated[float, Field(gt=0)] = 50.0
    commands_burst: Annotated[float, Field(ge=1)] = 200.0
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

    secret_keys: SecretStr | None = Field(
        default=None, description="Keys that seal personal data: `id:base64,…`, newest first."
    )

    supabase_api_secret: Annotated[SecretStr, Field(min_length=32)] | None = Field(
        default=None,
        description="Signs the keys of the Supabase clients, and lets them in; 32 characters.",
    )

    smtp_url: SecretStr | None = Field(
        default=None,
        description="smtp://, smtps:// or smtp+plain://; else mail is written to a folder.",
    )
    mail_from: Annotated[str, AfterValidator(_sender)] = Field(
        default="Playhall <playhall@localhost>", description="Sender of emails."
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = Field(
        default="text", description="Lines to read, or one JSON object a line with ids."
    )
    otlp_url: Annotated[str, AfterValidator(_collector_url)] = Field(
        default="", description="OpenTelemetry collector that gets traces; none if unset."
    )
    traces_sampled: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.01, description="Share of commands and requests that are traced."
    )
    slow_reply_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=0.0, description="Replies to moves that take longer are logged; 0 measures none."
    )

    def ruleset_directories(self) -> list[Path]:
        """List where rulesets besides our own are: as configured, and in title packages."""
        listed = [Path(path) for path in self.rulesets_path.split(os.pathsep) if path]
        for path in filter(None, self.titles_path.split(os.pathsep)):
            listed += sorted(each for each in Path(path).glob("*/rulesets") if each.is_dir())
        return listed
