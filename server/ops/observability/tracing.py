"""Traces of commands and requests with OpenTelemetry: from the socket to the commit to delivery.

One move of a player whose game is on another node is one trace::

    game.act              the connection's node, until the reply
      ask game.act        … asks the owner
        answer game.act   the owner
          game.decide     the rules
          game.commit     until the events are in the database
            game.deliver  to the owner's own viewers
              game.deliver  to the viewers of another node, once for each

On the owner's own node, the two in the middle are missing. HTTP requests and all other commands are
a span each, and what they ask of other nodes.

**Between nodes** the context travels as W3C `traceparent` beside each notice (`Notice.trace`),
which the broker writes only where there is one. A task inherits the context of what started it, so
the work of an asked node belongs to the trace without anything being passed along.

**Sampling** is decided once, where a command or a request arrives, and holds for all of its spans.
A client's own `traceparent` is ignored: anybody could have everything of theirs traced.

**Bounds.** Spans wait in a queue of `QUEUE_SPANS_MAX` for a thread that exports them; what does not
fit is dropped. Commits that are waited for are at most `COMMITS_MAX`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import random
from typing import Any, Final, TypeAlias

from aiohttp import web
from opentelemetry import context as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from persistence.broker.dispatch import DISPATCHING, HandlerRegistry
from persistence.broker.port import Notice
from persistence.broker.redis import PUBLISHING, RedisBroker
from persistence.eventlog.writer import EventRow, RowsLost
from protocol.envelope import Command
from protocol.errors import PlayhallError
from protocol.ids import GameId
from server.core.node_calls import ASKING, CARRYING_OUT, TAKING_REQUESTS, Body, NodeCalls
from server.domains.play.games.inputs import Reply
from server.domains.play.games.live_game import ACTING, COMMITTING, LOSING, LiveGame
from server.domains.play.games.recorder import RecordedEvent
from server.domains.play.games.subscribers import PUBLISHING_EVENTS, Subscribers
from server.gateway.session.sessions import (
    ANSWERING,
    REFUSING,
    RUNNING_AWAITED,
    RUNNING_NOW,
    CommandRoute,
    Session,
)
from server.version import VERSION

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

QUEUE_SPANS_MAX: Final = 4096
EXPORT_TIMEOUT_S: Final = 5
STOP_TIMEOUT_S: Final = 6.0
COMMITS_MAX: Final = 10_000
ATTRIBUTE_CHARACTERS_MAX: Final = 256
# Spans of a trace that a batch of other traces' events is linked to.
LINKS_MAX: Final = 16

GAME_ID: Final = "playhall.game_id"
TRACEPARENT: Final = "traceparent"
_FORMAT: Final = TraceContextTextMapPropagator()
_ROOT: Final = otel.create_key("the span of a command")
_CALL: Final = otel.create_key("the name of a call of another node")


class _Exporter(OTLPSpanExporter):
    """Says once that a collector is away, and once that it is back, however long that lasts."""

    def __init__(self, url: str) -> None:
        super().__init__(f"{url}/v1/traces", timeout=EXPORT_TIMEOUT_S)
        # The library logs each attempt, and as an error: a collector that is away is no bug.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        self._url = url
        self._is_away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch; what cannot be exported is dropped."""
        result = super().export(spans)
        is_away = result is not SpanExportResult.SUCCESS
        if is_away is not self._is_away:
            self._is_away = is_away
            what = "takes no traces; they are dropped" if is_away else "takes traces again"
            log.warning("the collector at %s %s", self._url, what)
        return result


def build_provider(url: str, *, node: str) -> TracerProvider:
    """Make what exports spans to `<url>/v1/traces` (OTLP over HTTP)."""
    provider = TracerProvider(
        sampler=ParentBased(ALWAYS_ON),  # what is not sampled begins no span: see `_Sampler`
        resource=Resource.create(
            {"service.name": "playhall", "service.version": VERSION, "service.instance.id": node}
        ),
        shutdown_on_exit=False,
    )
    processor = BatchSpanProcessor(_Exporter(url), max_queue_size=QUEUE_SPANS_MAX)
    provider.add_span_processor(processor)
    return provider


async def shut_down(provider: TracerProvider) -> None:
    """Export what waits; a collector that does not answer holds nobody up for long."""
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await asyncio.to_thread(provider.shutdown)
    except TimeoutError:
        log.warning("the last spans could not be exported within %.0f s", STOP_TIMEOUT_S)


def current_ids() -> Mapping[str, str]:
    """Give the ids of the current trace and span, for a log line."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


class _Sampler:
    """Draws which commands and requests are traced; the others cost no more than the draw."""

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio

    def draw(self) -> bool:
        return random() < self._ratio  # noqa: S311 - guards nothing


def observe(provider: TracerProvider, *, ratio: float) -> None:
    """Trace a share of this process's commands from now on. Once, before anything is built."""
    tracer = provider.get_tracer("playhall", VERSION)
    _observe_sessions(tracer, _Sampler(ratio))
    _observe_calls(tracer)
    _observe_games(tracer)
    _observe_broker()


# ---------------------------------------------------------------------- commands


class _Root:
    """The span of a command, which ends with the reply: perhaps long after the handler returned."""

    __slots__ = ("_is_taken", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self._is_taken = False

    def take(self) -> bool:
        """Have the caller end the span; False where somebody else will."""
        was_taken, self._is_taken = self._is_taken, True
        return not was_taken

    def end_unless_taken(self) -> None:
        """End the span, if nobody else will."""
        if self.take():
            self.span.end()


@contextmanager
def _attached(context: otel.Context) -> Iterator[None]:
    token = otel.attach(context)
    try:
        yield
    finally:
        otel.detach(token)


def _note_error(span: Span, error: BaseException) -> None:
    """Note how something ended; what a client did wrong is no failure of the server."""
    is_refusal = isinstance(error, PlayhallError)
    code = error.wire_code if isinstance(error, PlayhallError) else type(error).__name__
    span.set_attribute("error.type", code)
    if not is_refusal or code == "internal":
        span.set_status(StatusCode.ERROR)


def _observe_sessions(tracer: Tracer, sampler: _Sampler) -> None:
    def begin(command: Command) -> tuple[_Root, otel.Context]:
        game_id = getattr(command, "game_id", None)
        span = tracer.start_span(
            command.type,
            otel.Context(),
            SpanKind.SERVER,
            {} if game_id is None else {GAME_ID: str(game_id)},
        )
        root = _Root(span)
        return root, set_span_in_context(span, otel.set_value(_ROOT, root, otel.Context()))

    def wrap_now(original: Callable[..., None]) -> Callable[..., None]:
        def run_now(session: Session, command: Command, route: CommandRoute) -> None:
            if not sampler.draw():
                original(session, command, route)
                return
            root, context = begin(command)
            try:
                with _attached(context):
                    original(session, command, route)
            finally:
                root.end_unless_taken()

        return run_now

    def wrap_awaited(original: Callable[..., Awaitable[None]]) -> Callable[..., Any]:
        async def run_awaited(session: Session, command: Command, route: CommandRoute) -> None:
            if not sampler.draw():
                await original(session, command, route)
                return
            root, context = begin(command)
            try:
                with _attached(context):
                    await original(session, command, route)
            finally:
                root.end_unless_taken()

        return run_awaited

    def wrap_answer(original: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Any]:
        def answer(
            session: Session, command: Command, work: Awaitable[Any]
        ) -> Coroutine[Any, Any, None]:
            # Not a coroutine function: the span is taken before the handler returns.
            root = otel.get_value(_ROOT)
            answering = original(session, command, work)
            if not isinstance(root, _Root) or not root.take():
                return answering
            return _ending(root.span, answering)

        return answer

    def wrap_refuse(original: Callable[..., None]) -> Callable[..., None]:
        def refuse(session: Session, command_id: int | None, error: PlayhallError) -> None:
            _note_error(get_current_span(), error)
            original(session, command_id, error)

        return refuse

    RUNNING_NOW.observe(wrap_now)
    RUNNING_AWAITED.observe(wrap_awaited)
    ANSWERING.observe(wrap_answer)
    REFUSING.observe(wrap_refuse)


async def _ending(span: Span, work: Awaitable[None]) -> None:
    try:
        await work
    finally:
        span.end()


# ---------------------------------------------------------------------- between nodes


def _observe_calls(tracer: Tracer) -> None:
    def wrap_ask(original: Callable[..., Awaitable[Body]]) -> Callable[..., Any]:
        async def ask(calls: NodeCalls, node: str, call: str, body: Body) -> Body:
            if not get_current_span().is_recording():
                return await original(calls, node, call, body)
            with _span(tracer, f"ask {call}", SpanKind.CLIENT, {"playhall.node": node}):
                return await original(calls, node, call, body)

        return ask

    def wrap_take_request(original: Callable[..., None]) -> Callable[..., None]:
        def take_request(calls: NodeCalls, node: str, call: str, body: Any, call_id: str) -> None:
            with _attached(otel.set_value(_CALL, call)):  # the task that carries it out has it, too
                original(calls, node, call, body, call_id)

        return take_request

    def wrap_carry_out(original: Callable[..., Awaitable[None]]) -> Callable[..., Any]:
        async def carry_out(
            calls: NodeCalls, handler: Any, node: str, body: Any, call_id: str
        ) -> None:
            if not get_current_span().get_span_context().is_valid:
                await original(calls, handler, node, body, call_id)
                return
            game_id = body.get("game_id")
            attributes = {"playhall.node": node, **({GAME_ID: str(game_id)} if game_id else {})}
            name = f"answer {otel.get_value(_CALL)}"
            with _span(tracer, name, SpanKind.SERVER, attributes):
                await original(calls, handler, node, body, call_id)

        return carry_out

    ASKING.observe(wrap_ask)
    TAKING_REQUESTS.observe(wrap_take_request)
    CARRYING_OUT.observe(wrap_carry_out)


@contextmanager
def _span(
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, str | int],
    *,
    parent: otel.Context | None = None,
    links: Sequence[Link] = (),
) -> Iterator[Span]:
    span = tracer.start_span(name, parent, kind, dict(attributes), links)
    try:
        with _attached(set_span_in_context(span)):
            yield span
    except BaseException as error:
        _note_error(span, error)
        raise
    finally:
        span.end()


def _observe_broker() -> None:
    def wrap_publish(original: Callable[..., None]) -> Callable[..., None]:
        def publish(broker: RedisBroker, notice: Notice) -> None:
            if get_current_span().get_span_context().trace_flags.sampled:
                carrier: dict[str, str] = {}
                _FORMAT.inject(carrier)
                notice = notice._replace(trace=carrier[TRACEPARENT].encode("ascii"))
            original(broker, notice)

        return publish

    def wrap_dispatch(original: Callable[..., None]) -> Callable[..., None]:
        def dispatch_notice(registry: HandlerRegistry, notice: Notice) -> None:
            if not notice.trace:
                original(registry, notice)
                return
            carrier = {TRACEPARENT: notice.trace.decode("ascii", "replace")}
            with _attached(_FORMAT.extract(carrier, otel.Context())):
                original(registry, notice)

        return dispatch_notice

    PUBLISHING.observe(wrap_publish)
    DISPATCHING.observe(wrap_dispatch)


# ---------------------------------------------------------------------- games


@dataclass(frozen=True, slots=True)
class _Commit:
    """Events that a traced command decided, and that are not committed yet."""

    last_index: int
    span: Span


class _Commits:
    """What traced commands wait for, by game; `committed` is what `publish` is about to send."""

    def __init__(self) -> None:
        self._waiting: dict[GameId, deque[_Commit]] = {}
        self._count = 0
        self.committed: list[Span] = []

    def add(self, game_id: GameId, commit: _Commit) -> None:
        """Wait for a commit; beyond the bound, the trace goes without."""
        if self._count >= COMMITS_MAX:
            commit.span.end()
            return
        self._waiting.setdefault(game_id, deque()).append(commit)
        self._count += 1

    def take(self, game_id: GameId, *, up_to: int | None = None) -> list[Span]:
        """End what is committed up to an event, or all of the game, and give the spans."""
        waiting = self._waiting.get(game_id)
        taken: list[Span] = []
        while waiting and (up_to is None or waiting[0].last_index <= up_to):
            commit = waiting.popleft()
            self._count -= 1
            commit.span.end()
            taken.append(commit.span)
        if waiting is not None and not waiting:
            del self._waiting[game_id]
        return taken


def _observe_games(tracer: Tracer) -> None:
    commits = _Commits()

    def wrap_act(original: Callable[..., None]) -> Callable[..., None]:
        def act(
            game: LiveGame,
            seat: int,
            cmd_no: int,
            move: Any,
            reply: Reply,
            expected_head: int | None,
        ) -> None:
            parent = otel.get_current()
            if not get_current_span().is_recording():
                original(game, seat, cmd_no, move, reply, expected_head)
                return
            first = game.fold.next_index
            root = otel.get_value(_ROOT)
            replying = _Replying(reply, root if isinstance(root, _Root) else None)
            attributes: dict[str, str | int] = {
                GAME_ID: game.game_id,
                "playhall.seat": seat,
                "playhall.cmd_no": cmd_no,
            }
            with _span(tracer, "game.decide", SpanKind.INTERNAL, attributes):
                original(game, seat, cmd_no, move, replying, expected_head)
            replying.take_root()
            last = game.fold.next_index - 1
            if last >= first:
                span = tracer.start_span("game.commit", parent, attributes={GAME_ID: game.game_id})
                commits.add(game.game_id, _Commit(last, span))

        return act

    def wrap_committed(original: Callable[..., None]) -> Callable[..., None]:
        def on_committed(game: LiveGame, rows: list[EventRow]) -> None:
            commits.committed = commits.take(game.game_id, up_to=rows[-1].event_index)
            try:
                original(game, rows)
            finally:
                commits.committed = []

        return on_committed

    def wrap_lost(original: Callable[..., None]) -> Callable[..., None]:
        def on_lost(game: LiveGame, lost: RowsLost) -> None:
            commits.take(game.game_id)
            original(game, lost)

        return on_lost

    def wrap_publish(original: Callable[..., None]) -> Callable[..., None]:
        def publish(
            subscribers: Subscribers, recorded: Sequence[RecordedEvent], last_hash: bytes
        ) -> None:
            # Of the commit that this is called for; else of the notice that brought the events.
            committed, commits.committed = commits.committed, []
            parent = set_span_in_context(committed[0]) if committed else otel.get_current()
            if not get_current_span(parent).get_span_context().trace_flags.sampled:
                original(subscribers, recorded, last_hash)
                return
            kind = SpanKind.PRODUCER if committed else SpanKind.CONSUMER
            topic = subscribers._topic
            attributes: dict[str, str | int] = {
                GAME_ID: "" if topic is None else topic.key,
                "playhall.events": len(recorded),
                "playhall.followers": len(subscribers),
            }
            links = [Link(each.get_span_context()) for each in committed[1 : LINKS_MAX + 1]]
            with _span(tracer, "game.deliver", kind, attributes, parent=parent, links=links):
                original(subscribers, recorded, last_hash)

        return publish

    ACTING.observe(wrap_act)
    COMMITTING.observe(wrap_committed)
    LOSING.observe(wrap_lost)
    PUBLISHING_EVENTS.observe(wrap_publish)


class _Replying:
    """A reply that ends the span of its command, once the handler has left it to the reply."""

    __slots__ = ("_is_owner", "_is_replied", "_reply", "_root")

    def __init__(self, reply: Reply, root: _Root | None) -> None:
        self._reply = reply
        self._root = root
        self._is_owner = False
        self._is_replied = False

    def take_root(self) -> None:
        """End the span with the reply; not called where the handler raised, and nobody replies."""
        if self._root is None or self._is_replied:
            return
        self._is_owner = self._root.take()

    def __call__(self, what: int | PlayhallError) -> None:
        """Reply, and end the span."""
        self._is_replied = True
        if self._root is None:
            self._reply(what)
            return
        with _attached(set_span_in_context(self._root.span)):
            self._reply(what)
        if self._is_owner:
            self._root.span.end()


# ---------------------------------------------------------------------- HTTP


def observe_requests(app: web.Application, provider: TracerProvider, *, ratio: float) -> None:
    """Trace a share of the HTTP requests, under the names of their routes."""
    tracer = provider.get_tracer("playhall", VERSION)
    sampler = _Sampler(ratio)

    @web.middleware
    async def trace_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not sampler.draw():
            return await handler(request)
        resource = request.match_info.route.resource
        route = "" if resource is None else resource.canonical
        attributes: dict[str, str | int] = {
            "http.request.method": request.method,
            "http.route": route,
        }
        if (game_id := request.match_info.get("game_id")) is not None:
            attributes[GAME_ID] = game_id[:ATTRIBUTE_CHARACTERS_MAX]
        name = f"{request.method} {route}".rstrip()
        with _span(tracer, name, SpanKind.SERVER, attributes, parent=otel.Context()) as span:
            answer = await handler(request)
            span.set_attribute("http.response.status_code", answer.status)
            if answer.status >= 500:
                span.set_status(StatusCode.ERROR)
        return answer

    app.middlewares.insert(0, trace_request)
