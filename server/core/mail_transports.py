"""Where mails go: to an SMTP server, or into a folder of `.eml` files."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from persistence.private_files import make_folder, write_file

log = logging.getLogger(__name__)

SMTP_TIMEOUT_S: Final = 20.0  # for each reply
SENDING_MAX_S: Final = 60.0  # for all of a mail, however slowly a server drips its replies
PERMANENT: Final = 500  # replies from here on will not change by trying again
TLS: Final = {"smtp": "starttls", "smtps": "tls", "smtp+plain": "none"}
PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}

Transport = Callable[[EmailMessage], Awaitable[None]]


class InvalidMailUrl(ValueError):
    """The address of the mail server cannot be used."""


class MailNotDelivered(Exception):
    """A mail did not get through; `again` says whether trying again can help."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


def smtp_transport(url: str) -> Transport:
    """Send to `smtp://name:password@host:587`; raise `InvalidMailUrl`.

    `smtp` is encrypted by STARTTLS and sends nothing without it, `smtps` from the first byte,
    `smtp+plain` not at all, for a relay on the same machine.
    """
    parts = urlsplit(url)
    if parts.scheme not in TLS or not parts.hostname:
        raise InvalidMailUrl("must be smtp://host, smtps://host or smtp+plain://host")
    tls = TLS[parts.scheme]

    async def send(message: EmailMessage) -> None:
        try:
            async with asyncio.timeout(SENDING_MAX_S):
                await aiosmtplib.send(
                    message,
                    hostname=parts.hostname,
                    port=parts.port or PORTS[tls],
                    username=unquote(parts.username) if parts.username else None,
                    password=unquote(parts.password) if parts.password else None,
                    use_tls=tls == "tls",
                    start_tls=tls == "starttls",
                    timeout=SMTP_TIMEOUT_S,
                )
        except (aiosmtplib.SMTPException, OSError) as error:  # TimeoutError is one
            raise MailNotDelivered(type(error).__name__, again=_may_help(error)) from error

    return send


def file_transport(folder: Path) -> Transport:
    """Put mails into a folder, for development; the log says where."""

    def write(message: EmailMessage) -> Path:
        make_folder(folder)
        file = folder / f"{secrets.token_hex(8)}.eml"
        write_file(file, bytes(message))
        return file

    async def send(message: EmailMessage) -> None:
        try:
            file = await asyncio.to_thread(write, message)
        except OSError as error:
            raise MailNotDelivered(f"{folder}: {error.strerror or error}", again=True) from error
        log.info("a mail is in %s", file)

    return send


def _may_help(error: Exception) -> bool:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(refused.code < PERMANENT for refused in error.recipients)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code < PERMANENT
    return True
