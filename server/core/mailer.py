"""Sending email: mails wait in a bounded queue until a transport has sent them.

No mail can harm another. One that cannot be written, or whose sending raises anything, is lost:
counted, and logged without its address. One that has to wait for its next attempt does not hold a
worker meanwhile.
"""

import asyncio
import logging
import traceback
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final, NamedTuple

from protocol.email_address import EmailAddress, Sender, parse_address, parse_sender
from protocol.errors import Overloaded
from server.core.mail_transports import MailNotDelivered, Transport

log = logging.getLogger(__name__)

WAITING_MAX: Final = 1_000
SENT_AT_ONCE: Final = 4
PAUSES_S: Final = (2.0, 10.0, 60.0)  # between a mail's attempts


class Mail(NamedTuple):
    """What is written to whom."""

    to: str
    subject: str
    text: str
    # Where a mail program unsubscribes with one request (RFC 8058).
    unsubscribe_url: str | None = None


@dataclass(slots=True)
class _Outgoing:
    """A mail that is not yet sent or lost, and how often it was tried."""

    mail: Mail
    message_id: str
    tries: int = 0


class Mailer:
    """Sends mails; `run` is its task."""

    def __init__(
        self, transport: Transport, *, sender: str, pauses_s: tuple[float, ...] = PAUSES_S
    ) -> None:
        self._transport = transport
        self._sender = parse_sender(sender)
        self._pauses_s = pauses_s
        self._held = 0  # mails that wait, are being sent, or wait for their next attempt
        self._waiting: asyncio.Queue[_Outgoing] = asyncio.Queue()  # bounded by what is held
        self._pausing: set[asyncio.TimerHandle] = set()  # likewise
        self.sent = 0
        self.lost = 0

    def send(self, mail: Mail) -> None:
        """Take a mail; raise `Overloaded` if too many wait."""
        if self._held >= WAITING_MAX:
            raise Overloaded("Too many emails are waiting to be sent; try again later.")
        self._held += 1
        message_id = make_msgid(domain=self._sender.address.ascii_domain)
        self._waiting.put_nowait(_Outgoing(mail, message_id))

    async def run(self) -> None:
        """Send mails, a few at once, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(SENT_AT_ONCE):
                    group.create_task(self._send_all())
        finally:
            for timer in self._pausing:
                timer.cancel()
            self._pausing.clear()

    async def _send_all(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        # Before Python 3.12, `asyncio.wait_for` in a library can lose a cancellation.
        while not me.cancelling():
            outgoing = await self._waiting.get()
            try:
                await self._send(outgoing)
            except Exception as error:
                self._lose(outgoing, error)

    async def _send(self, outgoing: _Outgoing) -> None:
        message = _message(outgoing, self._sender)
        outgoing.tries += 1
        try:
            await self._transport(message)
        except MailNotDelivered as why:
            if not why.again or outgoing.tries > len(self._pauses_s):
                raise
            log.warning("mail %s could not be sent: %s", outgoing.message_id, why)
            self._try_again_later(outgoing)
        else:
            self._held -= 1
            self.sent += 1

    def _try_again_later(self, outgoing: _Outgoing) -> None:
        def again() -> None:
            self._pausing.discard(timer)
            self._waiting.put_nowait(outgoing)

        pause_s = self._pauses_s[outgoing.tries - 1]
        timer = asyncio.get_running_loop().call_later(pause_s, again)
        self._pausing.add(timer)

    def _lose(self, outgoing: _Outgoing, error: Exception) -> None:
        self._held -= 1
        self.lost += 1
        if isinstance(error, MailNotDelivered):
            # A traceback would have the address in it.
            log.error("gave up on mail %s: %s", outgoing.message_id, error)
        else:  # its message may have the address in it, where it was raised has not
            kind, place = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
            log.error("gave up on mail %s: %s\n%s", outgoing.message_id, kind, place)


def _message(outgoing: _Outgoing, sender: Sender) -> EmailMessage:
    message = EmailMessage()
    # Objects and no strings: nothing of an address is parsed once more, so it stays one address.
    message["From"] = _mailbox(sender.address, sender.display_name)
    message["To"] = _mailbox(parse_address(outgoing.mail.to))
    message["Subject"] = outgoing.mail.subject
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = outgoing.message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice comes back
    if outgoing.mail.unsubscribe_url is not None:
        message["List-Unsubscribe"] = f"<{outgoing.mail.unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(outgoing.mail.text)
    return message


def _mailbox(address: EmailAddress, display_name: str = "") -> Address:
    return Address(display_name, username=address.local, domain=address.ascii_domain)
