"""What a broker promises, and what it does not.

A broker carries **notices** between nodes. A notice names a topic and the number that the topic
has reached (a lobby's version, a game's last event, a day's version). It may carry a payload that
saves the receiver from reading the database.

What is guaranteed:

- *Order.* Of one publisher and one topic, notices arrive in the order of `publish`, each at most
  once. There is no order between topics, nor between publishers.
- *No echo.* A node never receives its own notices. What happens on a node is delivered there
  directly, without a broker.
- *A loss is announced.* Whenever notices of a topic may have been missed, because the connection
  was down or because a queue was full, the handler's `on_gap` is called after the topic is live
  again. The receiver then reads the truth. `on_gap` may come without a loss, and also right after
  `subscribe`: until a subscription is confirmed, notices pass it by.
- *The caller is never held up.* `publish`, `subscribe` and `unsubscribe` neither wait nor raise
  because the broker's server is slow or away. What waits to be sent is bounded; what does not fit
  becomes an announced loss.

What is not guaranteed:

- *Delivery.* A notice may be lost without an announcement if the network between publisher and
  server swallows it. With numbers, the next notice shows the gap; after the last one only a
  periodic look at the database does. Every receiver has such a look.
- *Timeliness.* A notice may arrive late, after a newer state was read from the database. Numbers
  that are known already are ignored.
- *The payload.* It may be missing from any notice. It is an optimisation, never the only place
  where something is.
- *Secrecy towards the broker's server.* Payloads are signed by us, and not encrypted.

So a broker decides nothing. Emptied, killed or partitioned, it costs time and database reads.
"""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

PAYLOAD_BYTES_MAX: Final = 65_536
TOPIC_CHARACTERS_MAX: Final = 200
# The number of a notice whose topic has no numbers, for example of what is said in a chat.
NO_NUMBER: Final = -1

# Braces are left out on purpose: in a Redis cluster they decide which shard a channel is on, and
# without them the topics of one kind spread over all shards by themselves.
_TOPIC: Final = re.compile(rf"[0-9A-Za-z_.:-]{{1,{TOPIC_CHARACTERS_MAX}}}")


class InvalidTopic(ValueError):
    """A topic's name has characters that names do not have, or too many; a bug of ours."""


class Notice(NamedTuple):
    """That a topic has reached a number.

    `after` is the number to which the payload must be applied: `number` follows it directly, or
    the payload covers everything in between. Both are `NO_NUMBER` where the topic has no numbers.
    `trace` is the W3C `traceparent` of what published it, where that is traced.
    """

    topic: str
    number: int = NO_NUMBER
    after: int = NO_NUMBER
    payload: bytes = b""
    trace: bytes = b""


class NoticeHandler(Protocol):
    """What a node does with the notices of a topic.

    Called on the event loop; must return soon, since all other notices wait meanwhile. A handler
    that raises is counted and logged, and the next notice comes all the same.
    """

    def on_notice(self, notice: Notice, /) -> None:
        """Take note of what another node published."""

    def on_gap(self, topic: str, /) -> None:
        """Read the truth: notices of this topic may have been missed until now."""


@dataclass(slots=True)
class BrokerMetrics:
    """Totals since the start; plain numbers, read when somebody scrapes them."""

    published: int = 0  # handed to the server, or to the other nodes
    received: int = 0  # given to a handler
    dropped: int = 0  # not sent as they were: the queue was full or the connection failed
    stripped: int = 0  # sent without their payload, which was too large
    echoes: int = 0  # our own, back from the server
    strays: int = 0  # of a topic that is not subscribed to any more
    malformed: int = 0  # of which nothing could be made
    refused: int = 0  # not signed with a key of ours, or repeated
    gaps: int = 0  # calls of `on_gap`
    connects: int = 0  # connections made, the first ones included
    disconnects: int = 0  # connections lost, and attempts that failed
    failures: int = 0  # exceptions of handlers: bugs that were contained


class Broker(Protocol):
    """Carries notices between nodes; see the module's docstring for what it promises."""

    metrics: BrokerMetrics

    @property
    def is_live(self) -> bool:
        """Whether notices of all other nodes arrive here at present.

        While it is False, whoever depends on them looks at the database more often.
        """

    @property
    def has_peers(self) -> bool:
        """Whether there may be another node; if not, a payload need not be made."""

    @property
    def backlog(self) -> int:
        """How many notices wait to be sent."""

    async def run(self) -> None:
        """Keep the connections, until cancelled; then nothing of them is left."""

    async def drain(self, timeout_s: float) -> bool:
        """Wait until what was published is sent; False if it takes longer."""

    def publish(self, notice: Notice) -> None:
        """Send a notice to the other nodes, soon. Raise `InvalidTopic`."""

    def subscribe(self, topic: str, handler: NoticeHandler) -> None:
        """Have a handler called for a topic from now on; a topic has one handler on a node.

        Raise `InvalidTopic`, and `ValueError` where there is a handler already.
        """

    def unsubscribe(self, topic: str) -> None:
        """Have nothing called for a topic any more; harmless if it is not subscribed to."""


def check_topic(topic: str) -> None:
    """Raise `InvalidTopic` for a name that no topic may have."""
    if _TOPIC.fullmatch(topic) is None:
        raise InvalidTopic(f"{topic[:80]!r} is not a name for a topic")
