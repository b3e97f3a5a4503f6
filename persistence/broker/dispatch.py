"""Handlers by topic, and calling them without letting one disturb the others."""

import logging
from typing import Final

from persistence.broker.port import BrokerMetrics, Notice, NoticeHandler, check_topic
from persistence.hook_points import HookPoint

log = logging.getLogger(__name__)


class HandlerRegistry:
    """The handlers of one node."""

    __slots__ = ("_by_topic", "_metrics")

    def __init__(self, metrics: BrokerMetrics) -> None:
        self._by_topic: dict[str, NoticeHandler] = {}
        self._metrics = metrics

    def __contains__(self, topic: object) -> bool:
        return topic in self._by_topic

    def __len__(self) -> int:
        return len(self._by_topic)

    def topics(self) -> list[str]:
        """List the topics that have a handler."""
        return list(self._by_topic)

    def add(self, topic: str, handler: NoticeHandler) -> None:
        """Give a topic its handler. Raise `InvalidTopic`, and `ValueError` where it has one."""
        check_topic(topic)
        if topic in self._by_topic:
            raise ValueError(f"{topic} has a handler on this node already")
        self._by_topic[topic] = handler

    def remove(self, topic: str) -> bool:
        """Take a topic's handler away; False if it has none."""
        return self._by_topic.pop(topic, None) is not None

    def dispatch_notice(self, notice: Notice) -> None:
        """Give a notice to its topic's handler."""
        if (observed := DISPATCHING.around) is None:
            self._dispatch(notice)
        else:
            observed(self, notice)

    def _dispatch(self, notice: Notice) -> None:
        handler = self._by_topic.get(notice.topic)
        if handler is None:
            self._metrics.strays += 1
            return
        self._metrics.received += 1
        try:
            handler.on_notice(notice)
        except Exception:
            self._failed(notice.topic)

    def dispatch_gap(self, topic: str) -> None:
        """Notify a topic's handler that notices may have been missed."""
        handler = self._by_topic.get(topic)
        if handler is None:
            return
        self._metrics.gaps += 1
        try:
            handler.on_gap(topic)
        except Exception:
            self._failed(topic)

    def _failed(self, topic: str) -> None:
        self._metrics.failures += 1
        log.exception("the handler of %s failed", topic)


DISPATCHING: Final = HookPoint(HandlerRegistry._dispatch)
