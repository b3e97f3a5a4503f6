"""Publish and subscribe between the nodes.

For: notifying the other nodes that something they may be following has changed.

Promises: `port.Broker` says what; `memory` and `redis` keep it, and one contract test runs
against both. Nothing durable depends on a broker: what a notice announces is in PostgreSQL
before it is published, and a node that missed a notice reads it there.

Must not know: who follows a topic on a node, what a payload means.
"""

from persistence.broker.port import (
    NO_NUMBER,
    PAYLOAD_BYTES_MAX,
    Broker,
    InvalidTopic,
    Notice,
    NoticeHandler,
)

__all__ = ["NO_NUMBER", "PAYLOAD_BYTES_MAX", "Broker", "InvalidTopic", "Notice", "NoticeHandler"]
