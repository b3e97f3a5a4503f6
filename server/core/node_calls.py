"""Questions that nodes ask each other, through the broker.

Each node listens on a topic of its own, `node:<name>`. A *request* names a call and has an id; the
*answer* comes back on the topic of the node that asked. A broker may lose either, so a request is
sent again until its answer is there or its time is up, and the node that answers carries out each
id once: a repetition waits for the first one's answer, or gets it again. What it cannot know any
more is what it answered before it was restarted; so whatever is asked must bear being asked twice
all the same, as moves do by their numbers.

Nothing is decided here, and nothing is only here. A node that gets no answer looks at the database
for who should have given it.

Must not know: what is asked.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TypeAlias

import orjson

from persistence.broker import PAYLOAD_BYTES_MAX
from persistence.hook_points import HookPoint
from protocol.codec import error_body, parse_error
from protocol.errors import Overloaded, PlayhallError
from protocol.kept_bytes import compact
from server.core.subscriptions import Subscriptions, TopicKind
from server.core.tasks import Tasks

log = logging.getLogger(__name__)

Body: TypeAlias = Mapping[str, Any]
# Carries out a call of another node, whose name comes first; gives the answer's fields.
AnswerCall: TypeAlias = Callable[[str, Any], Awaitable[Body]]
TakeNote: TypeAlias = Callable[[str, Any], None]

# How long each attempt waits for its answer; the last is followed by no other.
ATTEMPTS_S: Final = (0.3, 0.6, 1.0)
# Answers that are kept for repetitions, and calls that are carried out at once.
ANSWERS_MAX: Final = 8192
RUNNING_MAX: Final = 8192

REQUEST: Final = 1
ANSWER: Final = 2
REFUSAL: Final = 3
NOTE: Final = 4


class NodeSilent(Exception):
    """A node gave no answer in time. Whether it carried the call out, nobody here knows."""


class CallTooLarge(Exception):
    """A call does not fit into one message of the broker."""


@dataclass(slots=True)
class NodeCallMetrics:
    """Totals since the start."""

    asked: int = 0
    repeated: int = 0  # requests sent again, as no answer came
    silent: int = 0  # calls that were given up
    answered: int = 0  # of other nodes, carried out here


class NodeCalls:
    """Asks other nodes, and answers them."""

    def __init__(self, subscriptions: Subscriptions, *, node: str, tasks: Tasks) -> None:
        self.node = node
        self.metrics = NodeCallMetrics()
        self._subscriptions = subscriptions
        self._tasks = tasks
        self._calls: dict[str, AnswerCall] = {}
        self._notes: dict[str, TakeNote] = {}
        # Ids are unique among all lives of all nodes: an answer to an earlier life has no taker.
        self._life = secrets.token_hex(6)
        self._numbers = count(1)
        self._waiting: dict[str, asyncio.Future[Body]] = {}
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._running: set[str] = set()
        self._kind: TopicKind[object] = subscriptions.kind("node")
        self._kind.subscribe(node, self, self._receive)

    @property
    def is_possible(self) -> bool:
        """Whether other nodes can be asked at present."""
        return self._subscriptions.has_peers and self._subscriptions.broker.is_live

    def serve(self, call: str, handler: AnswerCall) -> None:
        """Have a call of other nodes carried out by a handler."""
        self._calls[call] = handler

    def listen(self, call: str, handler: TakeNote) -> None:
        """Have what other nodes tell given to a handler."""
        self._notes[call] = handler

    def send_note(self, node: str, call: str, body: object) -> None:
        """Tell another node something that may be lost."""
        self._send(node, [NOTE, self.node, call, body])

    async def ask(self, node: str, call: str, body: Body) -> Body:
        """Ask another node; raise what it raises, `NodeSilent`, or `CallTooLarge`."""
        ask = ASKING.around or NodeCalls._ask
        return await ask(self, node, call, body)

    async def _ask(self, node: str, call: str, body: Body) -> Body:
        call_id = f"{self._life}.{next(self._numbers)}"
        request = _encode([REQUEST, self.node, call, body, call_id])
        answer: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = answer
        self.metrics.asked += 1
        try:
            for n, timeout_s in enumerate(ATTEMPTS_S):
                self.metrics.repeated += n > 0
                self._kind.notify(node, payload=request)
                done, _ = await asyncio.wait((answer,), timeout=timeout_s)
                if done:
                    return answer.result()
        finally:
            del self._waiting[call_id]
        self.metrics.silent += 1
        raise NodeSilent(node)

    # ------------------------------------------------------------------ details

    def _send(self, node: str, message: list[object]) -> None:
        self._kind.notify(node, payload=_encode(message))

    def _receive(self, message: bytes) -> None:
        match orjson.loads(message):
            case [1, str(node), str(call), dict(body), str(call_id)]:
                take_request = TAKING_REQUESTS.around or NodeCalls._take_request
                take_request(self, node, call, body, call_id)
            case [2, str(call_id), dict(body)]:
                self._settle(call_id, body, None)
            case [3, str(call_id), dict(body)]:
                self._settle(call_id, body, parse_error(body))
            case [4, str(node), str(call), body]:
                if (listener := self._notes.get(call)) is not None:
                    listener(node, body)
            case _:
                log.warning("a message of another node was not understood")

    def _take_request(self, node: str, call: str, body: dict[str, Any], call_id: str) -> None:
        if call_id in self._running:
            return  # its answer is on its way
        if (answer := self._answers.get(call_id)) is not None:
            self._kind.notify(node, payload=answer)
            return
        handler = self._calls.get(call)
        if handler is None or len(self._running) >= RUNNING_MAX:
            self._send(node, [REFUSAL, call_id, error_body(Overloaded())])
            return
        self._running.add(call_id)
        carry_out = CARRYING_OUT.around or NodeCalls._carry_out
        work = carry_out(self, handler, node, body, call_id)
        self._tasks.start_work(work, name="a call of another node")

    async def _carry_out(
        self, handler: AnswerCall, node: str, body: dict[str, Any], call_id: str
    ) -> None:
        try:
            answer = _encode([ANSWER, call_id, await handler(node, body)])
        except PlayhallError as error:
            answer = _encode([REFUSAL, call_id, error_body(error)])
        except Exception:
            log.exception("a call of node %s failed", node)
            answer = _encode([REFUSAL, call_id, error_body(PlayhallError())])
        finally:
            self._running.discard(call_id)
        self.metrics.answered += 1
        self._answers[call_id] = compact(answer)
        if len(self._answers) > ANSWERS_MAX:
            self._answers.popitem(last=False)
        self._kind.notify(node, payload=answer)

    def _settle(self, call_id: str, body: Body, error: PlayhallError | None) -> None:
        answer = self._waiting.get(call_id)
        if answer is None or answer.done():
            return  # it came twice, or too late
        if error is None:
            answer.set_result(body)
        else:
            answer.set_exception(error)
            answer.exception()  # whoever asked may be gone


ASKING: Final = HookPoint(NodeCalls._ask)
TAKING_REQUESTS: Final = HookPoint(NodeCalls._take_request)
CARRYING_OUT: Final = HookPoint(NodeCalls._carry_out)


def _encode(message: list[object]) -> bytes:
    encoded = orjson.dumps(message)
    if len(encoded) > PAYLOAD_BYTES_MAX:
        raise CallTooLarge
    return encoded
