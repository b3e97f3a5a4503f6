"""Saves that are written offline and sent later, each write exactly once.

A write is put into a queue, which is kept in a file, and the game goes on at once. When the server
can be reached, `sync` sends what waits, in order. Each write has an id of its own that never
changes, so one whose answer was lost is sent again and acts once. What another device has written
meanwhile, the server merges; what it cannot merge, it keeps beside the slot as a conflict, for the
player to decide. No clock is asked for anything.

`SaveQueue` is the logic without any I/O: it says what is to be sent, and is told what came of it.
`OfflineSaves` is what a game uses.
"""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from uuid import uuid4

import orjson

from playhall.errors import ClientError, Json, RequestRefused, ServerUnreachable
from playhall.http import HttpClient

# Writes of one slot that may wait. More are joined: the last one that was not sent yet is replaced,
# which loses nothing that a player would miss, since each write is a whole state.
PENDING_MAX: Final = 20
# Refusals and conflicts that are remembered until the game has read them.
TOLD_MAX: Final = 50
# What a write can be refused with and still succeed, unchanged: after signing in again, or once the
# player has resolved a conflict.
_LATER: Final = frozenset(
    ("bad_token", "token_expired", "banned", "http", "too_many_save_conflicts")
)

FORMAT: Final = 1


class SaveRequest(NamedTuple):
    """A write to be sent: `PUT /v1/saves/{slot_id}` with `If-Match: "{base}"`."""

    slot_id: str
    base: int
    body: Json

    @property
    def mutation_id(self) -> str:
        """The id of the write."""
        return str(self.body["mutation_id"])


class SaveConflict(NamedTuple):
    """A write that the server could not merge; it is kept as `details["revision"]`."""

    slot_id: str
    details: Json


class RefusedWrite(NamedTuple):
    """A write that the server will never take; its state is here, so that nothing is lost."""

    slot_id: str
    state: Json
    error: RequestRefused

    def to_json(self) -> Json:
        """Write it as JSON."""
        return {"slot_id": self.slot_id, "state": self.state, "error": self.error.to_json()}

    @classmethod
    def of(cls, data: Json) -> "RefusedWrite":
        """Read what `to_json` wrote."""
        return cls(data["slot_id"], data["state"], RequestRefused.from_reply(data["error"]))


class _Slot:
    """What a device knows of a slot: the state that it plays with, and the writes that wait."""

    def __init__(self, slot_id: str, revision: int, state: Json) -> None:
        self.slot_id = slot_id
        self.revision = revision  # that the next write is made from
        self.state = state
        self.pending: deque[Json] = deque()
        # Whether the first that waits may have arrived: then it is sent again as it was.
        self.is_sent = False
        # Whether the state is not the server's of this revision, since a write was refused.
        self.is_astray = False

    def to_json(self) -> Json:
        return {
            "slot_id": self.slot_id,
            "revision": self.revision,
            "state": self.state,
            "pending": list(self.pending),
            "is_sent": self.is_sent,
            "is_astray": self.is_astray,
        }

    @classmethod
    def of(cls, data: Json) -> "_Slot":
        slot = cls(data["slot_id"], data["revision"], data["state"])
        slot.pending.extend(data["pending"])
        slot.is_sent, slot.is_astray = data["is_sent"], data["is_astray"]
        return slot


class SaveQueue:
    """The writes of one device that wait to be sent; `new_id` makes the ids of writes."""

    def __init__(
        self, device: str = "", *, new_id: Callable[[], str] = lambda: str(uuid4())
    ) -> None:
        self.device = device
        self.conflicts: deque[SaveConflict] = deque(maxlen=TOLD_MAX)
        self.refused: deque[RefusedWrite] = deque(maxlen=TOLD_MAX)
        self._new_id = new_id
        self._slots: dict[str, _Slot] = {}

    # ------------------------------------------------------------------ called by the game

    def list_slots(self) -> list[str]:
        """List the slots that are known here."""
        return list(self._slots)

    def state(self, slot_id: str) -> Json:
        """Give a copy of the state that this device plays with, writes that wait included."""
        return _copy_state(self._slots[slot_id].state)

    def count_waiting(self, slot_id: str | None = None) -> int:
        """Count the writes that wait, of a slot or of all."""
        slots = self._slots.values() if slot_id is None else [self._slots[slot_id]]
        return sum(len(slot.pending) for slot in slots)

    def write(self, slot_id: str, state: Json, **fields: object) -> None:
        """Put a copy of a state into the queue; raise `ClientError` if it is not JSON.

        `fields` are others of the request, such as play_time_s.
        """
        slot = self._slots[slot_id]
        body = _copy_state({"state": state, "device": self.device, **fields})
        slot.state = body["state"]
        unsent = len(slot.pending) - slot.is_sent
        if len(slot.pending) >= PENDING_MAX and unsent > 0:
            body["mutation_id"] = slot.pending.pop()["mutation_id"]
        else:
            body["mutation_id"] = self._new_id()
        slot.pending.append(body)

    # ------------------------------------------------------------------ called by what sends

    def update_from_server(self, slot_id: str, revision: int, state: Json) -> None:
        """Take what the server has of a slot, unless writes wait: they come first."""
        slot = self._slots.get(slot_id)
        if slot is None:
            self._slots[slot_id] = _Slot(slot_id, revision, state)
        elif not slot.pending and (slot.is_astray or revision > slot.revision):
            slot.revision, slot.state, slot.is_astray = revision, state, False

    def forget(self, slot_id: str) -> None:
        """Forget a slot that was deleted, with what waits for it."""
        self._slots.pop(slot_id, None)

    def next_request(self, slot_id: str) -> SaveRequest | None:
        """Say what is to be sent next of a slot; the same again until it was answered.

        Store the queue before sending: once it may have arrived, a write must not change.
        """
        slot = self._slots.get(slot_id)
        if slot is None or not slot.pending:
            return None
        slot.is_sent = True
        return SaveRequest(slot_id, slot.revision, slot.pending[0])

    def on_accepted(self, request: SaveRequest, answer: Json) -> None:
        """Take the answer to a write that is committed."""
        self._done(request, int(answer["revision"]), int(answer["current"]), answer.get("state"))

    def on_refused(self, request: SaveRequest, error: RequestRefused) -> bool:
        """Take a refusal; gives whether the write is done with, and the next one may be sent."""
        details = error.details or {}
        if error.code == "save_conflict":
            # It is committed all the same, as a branch, which the next write goes on with.
            self.conflicts.append(SaveConflict(request.slot_id, details))
            current = details["current"]
            self._done(request, details["revision"], current["revision"], current["state"])
            return True
        if error.retry or error.code in _LATER:
            return False
        slot = self._slots[request.slot_id]
        if not self._is_first(slot, request):
            return True
        slot.pending.popleft()
        slot.is_sent, slot.is_astray = False, True
        self.refused.append(RefusedWrite(request.slot_id, request.body["state"], error))
        return True

    def _done(self, request: SaveRequest, own: int, current: int, state: Json | None) -> None:
        slot = self._slots[request.slot_id]
        if not self._is_first(slot, request):
            return
        slot.pending.popleft()
        slot.is_sent = False
        if slot.pending:  # what waits was made from this write, and not from what others wrote
            slot.revision = own
            return
        slot.revision, slot.is_astray = current, False
        if state is not None:
            slot.state = state

    @staticmethod
    def _is_first(slot: _Slot, request: SaveRequest) -> bool:
        """Say whether a write still waits for its answer."""
        return bool(slot.pending) and slot.pending[0]["mutation_id"] == request.mutation_id

    # ------------------------------------------------------------------ keeping it

    def to_json(self) -> bytes:
        """Write all that must survive the program."""
        return orjson.dumps(
            {
                "format": FORMAT,
                "device": self.device,
                "slots": [slot.to_json() for slot in self._slots.values()],
                "refused": [each.to_json() for each in self.refused],
            }
        )

    def load(self, content: bytes) -> None:
        """Read what `to_json` wrote; raise `ClientError` for anything else."""
        try:
            data = orjson.loads(content)
            known = {FORMAT: data["slots"]}[data["format"]]
            refused = [RefusedWrite.of(each) for each in data.get("refused", [])]
            self._slots = {each["slot_id"]: _Slot.of(each) for each in known}
            self.refused = deque(refused, maxlen=TOLD_MAX)
        except (ValueError, KeyError, TypeError) as error:
            raise ClientError("The file of waiting saves is damaged, or of another version.") from (
                error
            )


def _copy_state(state: Json) -> Json:
    """Copy JSON, so that a game may go on changing its own without changing what waits."""
    try:
        copied: Json = orjson.loads(orjson.dumps(state))
    except orjson.JSONEncodeError as error:
        raise ClientError(f"The state cannot be written as JSON: {error}.") from None
    return copied


class AccessTokenHolder(Protocol):
    """Something with an access token (`playhall.account.Account`)."""

    token: str


class OfflineSaves:
    """Save slots that can be written without a server; `path` is where the queue is kept.

    One program at a time uses a file.
    """

    def __init__(
        self, http: HttpClient, account: AccessTokenHolder, path: Path, *, device: str = ""
    ) -> None:
        self.queue = SaveQueue(device)
        self._http = http
        self._account = account
        self._path = path
        if path.exists():
            self.queue.load(path.read_bytes())

    async def create(self, title: str, state: Json | None = None, **fields: object) -> str:
        """Make a slot on the server; gives its id."""
        body = {"title": title, "state": state or {}, "mutation_id": str(uuid4()), **fields}
        made = await self._ask("POST", "/v1/saves", body | {"device": self.queue.device})
        return self._learn(made)

    async def open(self, slot_id: str) -> Json:
        """Read a slot from the server, unless writes wait; gives the state to play with."""
        self._learn(await self._ask("GET", f"/v1/saves/{slot_id}"))
        return self.queue.state(slot_id)

    def state(self, slot_id: str) -> Json:
        """Give a copy of the state that this device plays with."""
        return self.queue.state(slot_id)

    def take_refused(self) -> list[RefusedWrite]:
        """Give the writes that the server will never take, and forget them, in the file too."""
        refused = list(self.queue.refused)
        self.queue.refused.clear()
        self._store()
        return refused

    def write(self, slot_id: str, state: Json, **fields: object) -> None:
        """Save: it is in the file when this returns, and on the server after `sync`."""
        self.queue.write(slot_id, state, **fields)
        self._store()

    async def sync(self) -> bool:
        """Send what waits, then read what others wrote; False if the server cannot be reached now.

        Raises `RequestRefused` where a new access token, or nothing at all, is what would help. A
        slot with too many conflicts does not keep the others from being sent.
        """
        stuck: RequestRefused | None = None
        try:
            for slot_id in self.queue.list_slots():
                try:
                    if not await self._send_all(slot_id):
                        return False
                    await self._read_again(slot_id)
                except RequestRefused as error:
                    if error.code != "too_many_save_conflicts":
                        raise
                    stuck = error
        except ServerUnreachable:
            return False
        if stuck is not None:
            raise stuck
        return True

    async def _send_all(self, slot_id: str) -> bool:
        while (request := self.queue.next_request(slot_id)) is not None:
            self._store()
            try:
                answer = await self._ask(
                    "PUT", f"/v1/saves/{slot_id}", request.body, {"If-Match": f'"{request.base}"'}
                )
            except RequestRefused as error:
                if not self.queue.on_refused(request, error):
                    if error.retry:
                        return False
                    raise
            else:
                self.queue.on_accepted(request, answer)
            self._store()
        return True

    async def _read_again(self, slot_id: str) -> None:
        try:
            self._learn(await self._ask("GET", f"/v1/saves/{slot_id}"))
        except RequestRefused as error:
            if error.code != "save_slot_not_found":
                raise
            self.queue.forget(slot_id)
            self._store()

    def _learn(self, save: Json) -> str:
        slot_id = str(save["slot_id"])
        self.queue.update_from_server(slot_id, int(save["revision"]), save["state"])
        self._store()
        return slot_id

    async def _ask(
        self, method: str, path: str, body: Json | None = None, headers: Any = None
    ) -> Json:
        return await self._http.request(
            method, path, token=self._account.token, body=body, headers=headers
        )

    def _store(self) -> None:
        """Replace the file at once: a program that is killed leaves the old one or the new one."""
        temporary = self._path.with_name(f"{self._path.name}.new")
        with temporary.open("wb") as file:
            file.write(self.queue.to_json())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
