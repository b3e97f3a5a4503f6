"""Looks which quests became available, whatever it was that unlocked them.

A change of an account is looked at once it is committed (`ProgressChanged`), and when a device
begins to follow (`ProgressFollowed`). The openings of timed events, and what editors change, are
looked at every second for the accounts whose devices are here. What devices were told of is stored,
so nothing is told twice, and what a node that died has not looked at is found with the next change
or the next device.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from persistence.database import Database
from protocol.ids import UserId
from server.core.clock import Clock
from server.core.containment import contain_failures
from server.core.events import ProgressChanged, ProgressFollowed
from server.core.periodic import AWAY, repeat_every
from server.domains.interfaces import ProgressStream, SaveSlots
from server.domains.progression.quests.catalogue import QuestCatalogue, TitleContent

WAITING_MAX: Final = 10_000  # accounts to be looked at; beyond that the next change has it done
TITLES_MAX: Final = 10_000  # slots whose title is remembered
OPENINGS_EVERY_S: Final = 1.0
RETRY_S: Final = 1.0
# Nothing becomes available by these.
_WITHOUT_EFFECT: Final = frozenset(
    {"quest.available", "quest.progress", "save.conflict", "save.deleted"}
)


class _Mark(NamedTuple):
    """What tells whether a title's quests have to be looked at again."""

    stamp: frozenset[tuple[str, int]]
    open_now: frozenset[str]


class QuestAvailability:
    """Has the devices of accounts told of quests that become available.

    `announce` looks at one slot; it says whether there is more to tell.
    """

    def __init__(
        self,
        *,
        database: Database,
        catalogue: QuestCatalogue,
        slots: SaveSlots,
        stream: ProgressStream,
        clock: Clock,
        announce: Callable[[UserId, str], Awaitable[bool]],
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._slots = slots
        self._stream = stream
        self._clock = clock
        self._announce = announce
        # Which slots to look at, None for all of an account.
        self._waiting: OrderedDict[UserId, set[str] | None] = OrderedDict()
        self._woken = asyncio.Event()
        self._titles: OrderedDict[str, str] = OrderedDict()  # of slots
        # The titles of accounts that are followed here, and how they were when they were looked at.
        self._followed: dict[str, set[UserId]] = {}
        self._marks: dict[str, _Mark] = {}

    def __len__(self) -> int:
        """Count the accounts that wait."""
        return len(self._waiting)

    # ------------------------------------------------------------------ what is listened to

    def note_change(self, event: ProgressChanged) -> None:
        """Have a slot looked at."""
        if event.kind in _WITHOUT_EFFECT:
            return
        slot_id = event.slot_id
        if slot_id is not None and event.kind.startswith("save."):
            title = self._titles.get(slot_id)
            if title is not None and self._catalogue.is_known_empty(title):
                return
            self._add(event.account_id, slot_id)
        else:  # it may be of the account: a currency, a reward
            self._add(event.account_id, None)

    def note_follower(self, event: ProgressFollowed) -> None:
        """Have all slots of an account looked at."""
        self._add(event.account_id, None)

    def _add(self, account_id: UserId, slot_id: str | None) -> None:
        known = self._waiting.get(account_id, set())
        if account_id not in self._waiting and len(self._waiting) >= WAITING_MAX:
            return
        self._waiting[account_id] = None if slot_id is None or known is None else known | {slot_id}
        self._woken.set()

    # ------------------------------------------------------------------ looking

    async def run(self) -> None:
        """Look at what waits, until cancelled."""
        await repeat_every(RETRY_S, self._run, "looking for available quests", at_once=True)

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            await self.check_waiting()

    async def check_waiting(self) -> None:
        """Look at all that waits by now."""
        self._woken.clear()
        while self._waiting:
            account_id, slots = self._waiting.popitem(last=False)
            try:
                with contain_failures("looking for available quests", passed=AWAY):
                    await self._look_at(account_id, slots)
            except AWAY:
                self._waiting.setdefault(account_id, slots)
                self._woken.set()
                raise

    async def _look_at(self, account_id: UserId, slots: set[str] | None) -> None:
        is_followed = account_id in set(self._stream.followed())
        async with self._database.acquire() as connection:
            titles = await self._slots.titles(connection, account_id)
            contents = {
                title: await self._catalogue.find_title(connection, title)
                for title in titles.values()
            }
        for slot_id, title in titles.items():
            self._remember(slot_id, title)
            if not contents[title].quests:
                continue
            if is_followed:
                self._marks.setdefault(title, self._mark(contents[title]))
                self._followed.setdefault(title, set()).add(account_id)
            if (slots is None or slot_id in slots) and await self._announce(account_id, slot_id):
                self._add(account_id, slot_id)

    def _remember(self, slot_id: str, title: str) -> None:
        self._titles[slot_id] = title
        self._titles.move_to_end(slot_id)
        if len(self._titles) > TITLES_MAX:
            self._titles.popitem(last=False)

    # ------------------------------------------------------------------ openings

    async def follow_openings(self) -> None:
        """Look again where something opened or an editor changed something, until cancelled."""
        await repeat_every(OPENINGS_EVERY_S, self.find_openings, "following timed events")

    async def find_openings(self) -> None:
        """Have the accounts that are followed here looked at where something opened or changed."""
        here = set(self._stream.followed())
        for title in list(self._followed):
            if not (accounts := self._followed[title] & here):
                del self._followed[title], self._marks[title]
                continue
            self._followed[title] = accounts
            async with self._database.acquire() as connection:
                mark = self._mark(await self._catalogue.find_title(connection, title))
            if mark != self._marks[title]:
                self._marks[title] = mark
                for account_id in accounts:
                    self._add(account_id, None)

    def _mark(self, content: TitleContent) -> _Mark:
        return _Mark(content.stamp, content.open_now(self._clock.now()))
