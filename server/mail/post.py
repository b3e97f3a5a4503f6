"""The post: letters wait in a bounded queue until a carrier has taken them."""

import asyncio
import logging
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final, NamedTuple

from protocol.errors import Overloaded
from server.mail.carriers import Carrier, NotCarried

log = logging.getLogger(__name__)

WAITING_MAX: Final = 1_000
CARRIED_AT_ONCE: Final = 4
PAUSES_S: Final = (2.0, 10.0, 60.0)  # between a letter's attempts


class Letter(NamedTuple):
    """What is written to whom."""

    to: str
    subject: str
    text: str


class Post:
    """Carries letters; `run` is its task."""

    def __init__(
        self, carrier: Carrier, *, sender: str, pauses_s: tuple[float, ...] = PAUSES_S
    ) -> None:
        self._carrier = carrier
        self._sender = sender
        self._pauses_s = pauses_s
        self._waiting: asyncio.Queue[EmailMessage] = asyncio.Queue(WAITING_MAX)
        self.carried = 0
        self.lost = 0

    def send(self, letter: Letter) -> None:
        """Take a letter; raise `Overloaded` if too many wait."""
        try:
            self._waiting.put_nowait(_message(letter, self._sender))
        except asyncio.QueueFull:
            raise Overloaded("Too many mails are waiting to go out; try again later.") from None

    async def run(self) -> None:
        """Carry letters, for ever, a few at once."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CARRIED_AT_ONCE):
                group.create_task(self._carry_all())

    async def _carry_all(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        # Before Python 3.12, `asyncio.wait_for` in a library can lose a cancellation.
        while not me.cancelling():
            letter = await self._waiting.get()
            try:
                await self._carry(letter)
                self.carried += 1
            except NotCarried as why:
                self.lost += 1
                # A traceback would have the address in it.
                log.error("mail %s was given up: %s", letter["Message-ID"], why)  # noqa: TRY400

    async def _carry(self, letter: EmailMessage) -> None:
        for pause_s in self._pauses_s:
            try:
                await self._carrier(letter)
            except NotCarried as why:
                if not why.again:
                    raise
                log.warning("mail %s did not get through: %s", letter["Message-ID"], why)
                await asyncio.sleep(pause_s)
            else:
                return
        await self._carrier(letter)


def _message(letter: Letter, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].rstrip("> ") or None)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice comes back
    message.set_content(letter.text)
    return message
