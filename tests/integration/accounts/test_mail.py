"""Mail on its way out: to a real SMTP server, or into a folder."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.errors import Overloaded
from server.core.mail_transports import (
    InvalidMailUrl,
    MailNotDelivered,
    Transport,
    file_transport,
    smtp_transport,
)
from server.core.mailer import SENT_AT_ONCE, WAITING_MAX, Mail, Mailer
from server.core.tasks import Tasks

SENDER = "Playhall <hall@example.org>"
PATIENCE_S = 60
LETTER = Mail("ann@example.org", "A new pässword", "Grüße.\n")


class Mailbox:
    """What an SMTP server does with what it gets: `refusals` come first, then it takes it."""

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)
        self.taken: asyncio.Queue[bytes] = asyncio.Queue()

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802 - its name
        if self.refusals:
            return self.refusals.pop(0)
        self.taken.put_nowait(envelope.content)
        return "250 OK"

    async def take(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.taken.get()


@asynccontextmanager
async def smtp_server(mailbox: Mailbox, **options: Any) -> AsyncIterator[int]:
    """Listen on a free port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop, **options), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def posting(carrier: Transport, *pauses_s: float) -> AsyncIterator[Mailer]:
    post = Mailer(carrier, sender=SENDER, pauses_s=pauses_s)
    async with Tasks() as tasks:
        tasks.start_loop(post.run(), name="mail")
        yield post


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8
    file = tmp_path / "server.pem"
    file.write_bytes(
        key.private_bytes(pem, private, serialization.NoEncryption()) + made.public_bytes(pem)
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


def _to(port: int) -> Transport:
    return smtp_transport(f"smtp+plain://127.0.0.1:{port}")


def _password_is(expected: bytes) -> Any:
    def check(_: Any, __: Any, ___: Any, ____: Any, data: LoginPassword) -> AuthResult:
        return AuthResult(success=data.password == expected)

    return check


async def test_letter_arrives_as_it_was_written() -> None:
    mailbox = Mailbox()
    async with smtp_server(mailbox) as port, posting(_to(port)) as post:
        post.send(LETTER)
        message = message_from_bytes(await mailbox.take(), _class=EmailMessage)
    assert message["To"] == "ann@example.org"
    assert message["From"] == SENDER
    assert message["Message-ID"].endswith("@example.org>")


async def test_letter_goes_out_encrypted_and_signed_in(certificate: ssl.SSLContext) -> None:
    mailbox = Mailbox()
    options = {
        "tls_context": certificate,
        "require_starttls": True,
        "auth_required": True,
        "authenticator": _password_is(b"p:w/d"),
    }
    async with smtp_server(mailbox, **options) as port:
        carrier = smtp_transport(f"smtp://hall:p%3Aw%2Fd@localhost:{port}")
        async with posting(carrier) as post:
            post.send(LETTER)
            assert b"Subject:" in await mailbox.take()


async def test_password_is_not_sent_to_a_server_without_encryption() -> None:
    mailbox = Mailbox()
    async with smtp_server(mailbox) as port:
        carrier = smtp_transport(f"smtp://hall:secret@127.0.0.1:{port}")
        with pytest.raises(MailNotDelivered):
            await carrier(EmailMessage())
    assert mailbox.taken.empty()


async def test_server_that_cannot_take_it_now_is_asked_again() -> None:
    mailbox = Mailbox("451 later", "421 later")
    async with smtp_server(mailbox) as port, posting(_to(port), 0.0, 0.0) as post:
        post.send(LETTER)
        await mailbox.take()
    assert mailbox.refusals == []


async def test_letter_that_is_refused_for_good_is_not_sent_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mailbox = Mailbox("554 no such mailbox")
    async with smtp_server(mailbox) as port, posting(_to(port), 0.0, 0.0) as post:
        post.send(LETTER)
        async with asyncio.timeout(PATIENCE_S):
            while not post.lost:
                await asyncio.sleep(0.01)
    assert mailbox.taken.empty()
    assert "gave up on mail" in caplog.text
    assert "ann@example.org" not in caplog.text


async def test_more_letters_than_may_wait_are_refused_aloud() -> None:
    post = Mailer(smtp_transport("smtp+plain://127.0.0.1:1"), sender=SENDER)
    for _ in range(WAITING_MAX):
        post.send(LETTER)
    with pytest.raises(Overloaded):
        post.send(LETTER)


async def test_letter_in_a_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with posting(file_transport(tmp_path / "mail")) as post:
        post.send(LETTER)
        async with asyncio.timeout(PATIENCE_S):
            while not post.sent:
                await asyncio.sleep(0.01)
    (file,) = (tmp_path / "mail").iterdir()
    assert file.suffix == ".eml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"Subject: A new" in file.read_bytes()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for one page, which is full."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a file system can be mounted by root only")
    (folder / "filler").write_bytes(bytes(4096))
    yield folder
    subprocess.run(["umount", folder], check=True)


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_letter_for_a_full_disk_waits_for_room_and_leaves_no_half(
    full_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with posting(file_transport(full_disk), *[0.01] * 1000) as post:
        post.send(LETTER)
        async with asyncio.timeout(PATIENCE_S):
            while "No space left" not in caplog.text:
                await asyncio.sleep(0.01)
        assert names_in(full_disk) == ["filler"]
        (full_disk / "filler").unlink()
        async with asyncio.timeout(PATIENCE_S):
            while not post.sent:
                await asyncio.sleep(0.01)
    (name,) = names_in(full_disk)
    assert name.endswith(".eml")


async def test_letters_that_wait_for_their_next_attempt_hold_nobody_up() -> None:
    held = [LETTER._replace(to=f"held{n}@example.org") for n in range(SENT_AT_ONCE * 2)]
    taken: asyncio.Queue[str] = asyncio.Queue()

    async def carry(message: EmailMessage) -> None:
        if message["To"].startswith("held"):
            raise MailNotDelivered("later", again=True)
        taken.put_nowait(message["To"])

    async with posting(carry, 3600.0) as post, asyncio.timeout(PATIENCE_S):
        for letter in [*held, LETTER]:
            post.send(letter)
        assert await taken.get() == LETTER.to


@pytest.mark.parametrize(
    "to", ["ann", "ann@example.org,root", "é@example.org", "a@b.org\r\nBcc: c@d.org"]
)
async def test_letter_that_cannot_be_written_is_lost_without_its_address_in_the_log(
    to: str, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox = Mailbox()
    async with smtp_server(mailbox) as port, posting(_to(port)) as post:
        post.send(LETTER._replace(to=to))
        post.send(LETTER)
        await mailbox.take()
        assert post.lost == 1
    assert mailbox.taken.empty()
    assert "gave up on mail" in caplog.text
    assert to not in caplog.text


async def test_carrier_that_raises_anything_loses_one_letter_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken: asyncio.Queue[str] = asyncio.Queue()

    async def carry(message: EmailMessage) -> None:
        if message["To"].startswith("odd"):
            raise KeyError(message["To"])
        taken.put_nowait(message["To"])

    async with posting(carry) as post, asyncio.timeout(PATIENCE_S):
        for n in range(SENT_AT_ONCE + 1):
            post.send(LETTER._replace(to=f"odd{n}@example.org"))
        post.send(LETTER)
        assert await taken.get() == LETTER.to
        assert post.lost == SENT_AT_ONCE + 1
    assert "KeyError" in caplog.text
    assert "odd0@" not in caplog.text


@pytest.mark.parametrize("url", ["", "mail.example.org", "http://mail.example.org", "smtp://"])
def test_unusable_address_of_a_mail_server_is_refused(url: str) -> None:
    with pytest.raises(InvalidMailUrl, match="smtp://host"):
        smtp_transport(url)
