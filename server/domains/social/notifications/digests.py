"""A daily email of unread notifications, for those who asked for it.

A digest is claimed for a day before it is mailed: a node that dies in between costs a day's mail,
and never sends two. Nothing is mailed where nothing is new.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from persistence.notifications.digests import DigestStore, DueDigest
from persistence.notifications.store import Filter, GroupRow, NotificationStore, Place
from persistence.rls import Requester
from persistence.sealing import Seal, Unsealable
from protocol.errors import NotSetUp
from protocol.ids import SessionId, UserId
from protocol.notifications import BadUnsubscribeLink
from server.core.containment import contain_failures
from server.core.mailer import Mail
from server.core.periodic import AWAY, repeat_every
from server.domains.interfaces import AccountMail
from server.domains.social.notifications import views

LOOK_EVERY_S: Final = 60.0
CLAIMED_AT_ONCE: Final = 50
BATCHES_MAX: Final = 20
GROUPS_MAX: Final = 20
UNSUBSCRIBE_PATH: Final = "/notifications/unsubscribe"
_ABOUT: Final = "unsubscribe from digests"
_NEWEST: Final = Place(datetime(9999, 1, 1, tzinfo=UTC), "ffffffff-ffff-ffff-ffff-ffffffffffff")
_UNREAD: Final = Filter(unread=True, archived=False, group_key=None)


class DigestMailer:
    """Mails digests, and reads the tokens of their unsubscribe links."""

    def __init__(
        self,
        *,
        digests: DigestStore,
        notifications: NotificationStore,
        mail: AccountMail,
        seal: Seal,
        server: Callable[[], str],
    ) -> None:
        self._digests = digests
        self._notifications = notifications
        self._mail = mail
        self._seal = seal
        self._server = server
        self.sent_total = 0

    def require_mail(self) -> None:
        """Raise `NotSetUp` if this server does not send email."""
        if not self._mail.is_set_up:
            raise NotSetUp("This server does not send email.")

    async def run(self) -> None:
        """Mail what is due, until cancelled."""
        await repeat_every(LOOK_EVERY_S, self.mail_due, "mailing digests")

    async def mail_due(self) -> None:
        """Mail what is due, up to a bound."""
        if not self._mail.is_set_up:
            return
        for _ in range(BATCHES_MAX):
            due = await self._digests.claim_due(limit=CLAIMED_AT_ONCE)
            for digest in due:
                with contain_failures("mailing a digest", passed=AWAY):
                    await self._mail_one(digest)
            if len(due) < CLAIMED_AT_ONCE:
                break

    async def _mail_one(self, digest: DueDigest) -> None:
        who = Requester(digest.user_id, SessionId(""))
        page = await self._notifications.list_groups(who, _NEWEST, _UNREAD, limit=GROUPS_MAX)
        groups = [each for each in page.groups if each.head.created_at > digest.sent_through_at]
        address = await self._mail.find_address(digest.user_id) if groups else None
        if address is None:
            return
        mail = digest_mail(
            address,
            groups,
            unread=page.unread,
            server=self._server(),
            token=self.write_token(digest.user_id),
        )
        self._mail.send(mail)
        await self._digests.note_sent(digest.user_id, groups[0].head.created_at)
        self.sent_total += 1

    # ------------------------------------------------------------------ unsubscribe links

    def write_token(self, user_id: UserId) -> str:
        """Write the token of a person's unsubscribe link, which nobody else can make."""
        sealed = self._seal.seal(user_id.encode(), about=_ABOUT)
        return urlsafe_b64encode(sealed).decode().rstrip("=")

    def read_token(self, token: str) -> UserId:
        """Say whose token this is; raise `BadUnsubscribeLink`."""
        try:
            sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            return UserId(self._seal.open(sealed, about=_ABOUT).decode())
        except (BadBase64, ValueError, Unsealable):
            raise BadUnsubscribeLink from None


def digest_mail(to: str, groups: list[GroupRow], *, unread: int, server: str, token: str) -> Mail:
    """Write a digest: what is new, and how to get no more of these."""
    lines = "\n".join(f"  - {_line(group)}" for group in groups)
    count = sum(group.notification_count for group in groups)
    what = "1 new notification" if count == 1 else f"{count} new notifications"
    text = f"""You have {what}:

{lines}

Unread in total: {unread}. Read them at {server}

You get this email at most once a day because you asked for it. To stop it, open:

    {server}{UNSUBSCRIBE_PATH}#{token}
"""
    one_click = f"{server}/v1/notifications/unsubscribe/{token}"
    return Mail(to, f"You have {what}", text, unsubscribe_url=one_click)


def _line(group: GroupRow) -> str:
    shown = views.group(group)
    about = " ".join(shown.message.split())[:100]
    return f"{shown.summary}: {about}" if about else shown.summary
