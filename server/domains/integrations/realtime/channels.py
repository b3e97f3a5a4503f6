"""Connections of the Supabase clients, and the channels that each of them joined.

A message that needs the database (a join, a new token) holds back those that come after it on its
connection, so that they are handled in their order; all others are handled as they come.

A channel works as whoever its token names: that says which changes it carries, and what it may do
where it is private. It is closed when the token has expired, and when the session has ended.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import asyncpg
import orjson

from persistence.realtime.store import ChannelRights, Reader, RealtimeStore
from persistence.rest.store import SERVICE_ROLE
from protocol.errors import CloseReason, PlayhallError, TokenExpired
from server.core.clock import Clock
from server.core.containment import contain_failures, log_failure
from server.core.events import (
    Listeners,
    PlayerErased,
    SessionRevoked,
    UserBanned,
    UserDeactivated,
)
from server.core.periodic import repeat_every
from server.core.rate_limits import TokenBucket
from server.core.subscriptions import Stop, Subscriptions, TooManySubscribers, TopicKind
from server.core.tasks import Tasks
from server.domains.integrations.realtime.changes import ChangeFeed
from server.domains.integrations.realtime.filters import Binding, InvalidFilter, parse_binding
from server.domains.integrations.realtime.frames import (
    VERSIONS,
    MalformedMessage,
    Message,
    Version,
    decode_binary,
    decode_text,
    encode,
    encode_bytes,
)
from server.domains.integrations.realtime.presence import (
    META_BYTES_MAX,
    PresenceTopics,
    TooManyPresent,
)
from server.gateway.http.endpoints import Authenticate
from server.gateway.supabase_keys import ApiClient, ApiKeys
from server.gateway.transport.handshake import HttpRefusal, UpgradeRequest
from server.gateway.transport.socket import Socket

log = logging.getLogger(__name__)

PREFIX: Final = "realtime:"
TOPIC_CHARS_MAX: Final = 255
EVENT_CHARS_MAX: Final = 255
BROADCAST_BYTES_MAX: Final = 60_000  # what a notice between nodes can carry, with its head
WAITING_MAX: Final = 100
SILENT_AFTER_S: Final = 60.0
LOOK_EVERY_S: Final = 5.0
POLICY_VIOLATION: Final = 1008

_ALL_RIGHTS: Final = ChannelRights(True, True, True, True)
_TOO_MANY_USERS: Final = "ConnectionRateLimitReached: Too many connected users"
_NO_RIGHTS: Final = ChannelRights(False, False, False, False)
_TEXT_KIND: Final = b"t"
_BYTES_KIND: Final = b"b"
_SENDER_BYTES: Final = 16


class JoinRefused(Exception):
    """A channel cannot be joined, or not be kept; the message is the reply's reason."""


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """How much of everything a connection may have."""

    channels_max: int
    bindings_max: int
    messages_per_s: float
    is_private_only: bool


@dataclass(slots=True)
class ChannelOptions:
    """What a client chose when it joined."""

    is_private: bool
    presence_key: str
    is_presence_enabled: bool
    acknowledges: bool
    hears_itself: bool


class RealtimeHub:
    """All channels of this node."""

    def __init__(
        self,
        *,
        keys: ApiKeys,
        authenticate: Authenticate,
        store: RealtimeStore,
        feed: ChangeFeed,
        subscriptions: Subscriptions,
        presence: PresenceTopics,
        limits: ChannelLimits,
        tasks: Tasks,
        clock: Clock,
    ) -> None:
        self.keys = keys
        self.feed = feed
        self.presence = presence
        self.limits = limits
        self.tasks = tasks
        self.clock = clock
        self._authenticate = authenticate
        self._store = store
        self._broadcasts: TopicKind[Channel] = subscriptions.kind("realtime-broadcast")
        self._connections: set[RealtimeConnection] = set()
        self._holders: dict[str, dict[Channel, None]] = {}
        self.broadcasts_total = 0

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def channels(self) -> int:
        """How many channels are joined here."""
        return sum(len(each.channels) for each in self._connections)

    def accept(self, request: UpgradeRequest) -> "RealtimeConnection | HttpRefusal":
        """Take a connection whose key is good."""
        version = request.query.get("vsn", "1.0.0")
        if version not in VERSIONS:
            return HttpRefusal(400, "vsn must be 1.0.0 or 2.0.0.")
        key = request.query.get("apikey") or request.headers.get("apikey") or ""
        if (role := self.keys.read_role(key)) is None:
            return HttpRefusal(401, "Invalid API key; `playhall keys supabase` prints good ones.")
        return RealtimeConnection(self, "2.0.0" if version == "2.0.0" else "1.0.0", ApiClient(role))

    def opened(self, connection: "RealtimeConnection") -> None:
        """Note that a connection is there."""
        self._connections.add(connection)

    def closed(self, connection: "RealtimeConnection") -> None:
        """Note that a connection is gone."""
        self._connections.discard(connection)

    # ------------------------------------------------------------------ who somebody is

    async def identify(self, token: str) -> ApiClient:
        """Say whom a token of a channel names; raise `JoinRefused`."""
        headers = {"apikey": token} if self.keys.read_role(token) else {}
        try:
            return await self.keys.identify(
                {**headers, "Authorization": f"Bearer {token}"}, {}, self._authenticate
            )
        except TokenExpired:
            raise JoinRefused("InvalidJWTToken: Token has expired") from None
        except PlayhallError as error:
            if error.status >= 500:
                raise JoinRefused("UnableToConnectToProject: try again later") from None
            raise JoinRefused(f"Unauthorized: {error.message}") from None

    async def find_rights(self, client: ApiClient, topic: str) -> ChannelRights:
        """Say what somebody may do on a private channel; raise `JoinRefused`."""
        if client.role == SERVICE_ROLE:
            return _ALL_RIGHTS
        try:
            return await self._store.read_channel_rights(_reader(client), topic)
        except PlayhallError:
            raise JoinRefused("UnableToConnectToProject: try again later") from None
        except asyncpg.PostgresError as error:
            log.warning("the policies of playhall_realtime.messages fail: %s", error)
            return _NO_RIGHTS

    def hold(self, channel: "Channel", client: ApiClient) -> None:
        """Note whose a channel is, for when their session ends."""
        for name in _names(client):
            self._holders.setdefault(name, {})[channel] = None

    def release(self, channel: "Channel", client: ApiClient) -> None:
        """Undo `hold`."""
        for name in _names(client):
            of_name = self._holders.get(name, {})
            of_name.pop(channel, None)
            if not of_name:
                self._holders.pop(name, None)

    def listens(self) -> Listeners:
        """List the events that close channels."""
        return {
            SessionRevoked: lambda event: self._shut(event.session_id, event.message),
            UserBanned: lambda event: self._shut(event.user_id, "This account was banned."),
            UserDeactivated: lambda event: self._shut(
                event.user_id, "This account was deactivated."
            ),
            PlayerErased: lambda event: self._shut(event.player_id, "This account was erased."),
        }

    def _shut(self, name: str, message: str) -> None:
        for channel in list(self._holders.get(name, ())):
            channel.shut(message)

    # ------------------------------------------------------------------ broadcasts

    def follow_broadcasts(self, channel: "Channel") -> Stop:
        """Have a channel told what is broadcast on its topic; raise `TooManySubscribers`."""
        return self._broadcasts.subscribe(channel.key, channel, channel.push_broadcast)

    def broadcast(
        self, key: str, event: str, payload: bytes, *, sender: str, is_bytes: bool
    ) -> None:
        """Send something to all channels of a topic, on all nodes."""
        self.broadcasts_total += 1
        kind = _BYTES_KIND if is_bytes else _TEXT_KIND
        name = event.encode()
        head = b"%b%b%b" % (kind, sender.encode(), len(name).to_bytes(2, "big"))
        self._broadcasts.relay(key, head + name + payload)

    # ------------------------------------------------------------------ jobs

    async def run(self) -> None:
        """Close connections that are silent, until cancelled."""
        await repeat_every(LOOK_EVERY_S, self.close_silent, "silent realtime connections")

    async def close_silent(self) -> None:
        """Close those of which nothing came for two heartbeats."""
        for connection in list(self._connections):
            connection.close_if_silent()


def channel_key(topic: str, *, is_private: bool) -> str:
    """Name a topic as nodes do among themselves: of any characters, and private ones apart."""
    kind = "private" if is_private else "public"
    return f"{kind}-{blake2b(topic.encode(), digest_size=16).hexdigest()}"


def _reader(client: ApiClient) -> Reader:
    return Reader(client.role, client.requester)


def _names(client: ApiClient) -> list[str]:
    who = client.identity
    return [] if who is None else [who.session_id, who.user_id, who.player_id]


class RealtimeConnection:
    """One websocket of a client."""

    def __init__(self, hub: RealtimeHub, version: Version, key: ApiClient) -> None:
        self.hub = hub
        self.version = version
        self.key = key
        self.channels: dict[str, Channel] = {}
        self._socket: Socket | None = None
        self._waiting: deque[Message] = deque()
        self._is_working = False
        per_s = hub.limits.messages_per_s
        self._bucket = TokenBucket(per_s, 2 * per_s)

    # ------------------------------------------------------------------ the socket calls these

    def on_open(self, socket: Socket) -> None:
        """Take the socket."""
        self._socket = socket
        self.hub.opened(self)

    def on_message(self, message: bytes) -> None:
        """Take a message in JSON."""
        self._receive(lambda: decode_text(self.version, message))

    def on_binary(self, message: bytes) -> None:
        """Take a broadcast in a binary frame."""
        self._receive(lambda: decode_binary(message))

    def on_close(self) -> None:
        """Leave everything."""
        self._waiting.clear()
        self.hub.closed(self)
        for channel in list(self.channels.values()):
            with contain_failures("leaving a realtime channel"):
                channel.leave()

    # ------------------------------------------------------------------ others call these

    def is_open(self) -> bool:
        """Whether anything can be sent still."""
        return self._socket is not None and not self._socket.closing

    def send(self, frame: bytes) -> None:
        """Send a frame; one that does not read is closed."""
        if self._socket is not None:
            self._socket.send(frame)

    def close_if_silent(self) -> None:
        """Close it where no heartbeat comes."""
        socket = self._socket
        if socket is not None and socket.now() - socket.last_seen > SILENT_AFTER_S:
            socket.close(CloseReason.SILENT)

    def push(self, topic: str, event: str, payload: object, **refs: str | None) -> None:
        """Send a message."""
        self.send(encode(self.version, topic, event, orjson.dumps(payload), **refs))

    def reply(self, message: Message, response: object, *, status: str = "ok") -> None:
        """Answer a message, where it can be answered."""
        if message.ref is not None:
            self.push(
                message.topic,
                "phx_reply",
                {"status": status, "response": response},
                ref=message.ref,
                join_ref=message.join_ref,
            )

    # ------------------------------------------------------------------ messages

    def _bindings(self) -> int:
        return sum(channel.bindings for channel in self.channels.values())

    def _receive(self, decode: Callable[[], Message]) -> None:
        assert self._socket is not None
        try:
            message = decode()
        except MalformedMessage as error:
            self._socket.close((POLICY_VIOLATION, str(error)))
            return
        if not self._bucket.take(self._socket.now()):
            channel = self.channels.get(message.topic)
            if channel is None:
                self._socket.close(CloseReason.FLOODING)
            else:
                channel.shut("Too many messages per second")
            return
        if self._is_working or message.event in ("phx_join", "access_token"):
            self._waiting.append(message)
            if len(self._waiting) > WAITING_MAX:
                self._socket.close(CloseReason.FLOODING)
            elif not self._is_working:
                self._is_working = True
                self.hub.tasks.start_work(self._work(), name="a message of a realtime channel")
        else:
            self._handle(message)

    async def _work(self) -> None:
        """Handle what waits, one after another."""
        try:
            while self._waiting and self.is_open():
                message = self._waiting.popleft()
                try:
                    await self._handle_in_turn(message)
                except Exception:
                    log_failure("handling a message of a realtime channel")
                    self.reply(message, {"reason": "InternalServerError"}, status="error")
        finally:
            self._is_working = False

    async def _handle_in_turn(self, message: Message) -> None:
        if message.event == "phx_join":
            await self._join(message)
        elif message.event == "access_token":
            await self._take_token(message)
        else:
            self._handle(message)

    def _handle(self, message: Message) -> None:
        if message.topic == "phoenix":
            if message.event == "heartbeat":
                self.reply(message, {})
            return
        channel = self.channels.get(message.topic)
        if channel is None:
            self.reply(message, {"reason": "unmatched topic"}, status="error")
        elif message.event == "phx_leave":
            self.reply(message, {})
            channel.close()
        elif message.event == "broadcast":
            channel.take_broadcast(message)
        elif message.event == "presence":
            channel.take_presence(message)

    async def _join(self, message: Message) -> None:
        known = self.channels.get(message.topic)
        if known is not None:
            known.close()
        try:
            await self._try_to_join(message)
        except JoinRefused as refused:
            self.reply(message, {"reason": str(refused)}, status="error")

    async def _try_to_join(self, message: Message) -> None:
        topic = message.topic
        if not topic.startswith(PREFIX):
            raise JoinRefused("unmatched topic")
        if topic == PREFIX:
            raise JoinRefused("TopicNameRequired: You must provide a topic name")
        if len(topic) > TOPIC_CHARS_MAX:
            raise JoinRefused(f"InvalidTopic: at most {TOPIC_CHARS_MAX} characters")
        if "\0" in topic:  # which policies could not be asked about
            raise JoinRefused("InvalidTopic: remove NUL characters (U+0000)")
        if len(self.channels) >= self.hub.limits.channels_max:
            raise JoinRefused("ChannelRateLimitReached: Too many channels")
        options, bindings, waits = self._read_config(message)
        client = await self._identify(message)
        channel = Channel(self, message, options, client)
        channel.hold()
        try:
            await channel.authorize()
            if not self.is_open():
                channel.leave()
                return
            channel.open()
            problem = await channel.bind(bindings)
        except TooManySubscribers:
            channel.leave()
            raise JoinRefused(_TOO_MANY_USERS) from None
        except BaseException:
            channel.leave()
            raise
        if channel.is_closed():  # it was left meanwhile
            self.hub.feed.unsubscribe(channel)
            return
        if problem is not None and waits:
            channel.leave()
            raise JoinRefused(f"RealtimeDisabledForConfiguration: {problem}")
        echoed = [{"id": binding_id, **given} for binding_id, given in bindings]
        self.reply(message, {"postgres_changes": echoed})
        channel.begin(problem, is_bound=bool(bindings))

    async def _identify(self, message: Message) -> ApiClient:
        token = message.payload.get("access_token") or message.payload.get("user_token")
        if not isinstance(token, str) or token.startswith("sb_"):
            return self.key
        return await self.hub.identify(token)

    def _read_config(
        self, message: Message
    ) -> tuple[ChannelOptions, list[tuple[int, dict[str, Any]]], bool]:
        config = _object(message.payload.get("config"))
        broadcast, presence = _object(config.get("broadcast")), _object(config.get("presence"))
        key = presence.get("key")
        options = ChannelOptions(
            is_private=config.get("private") is True,
            presence_key=key if isinstance(key, str) and key else secrets.token_hex(16),
            is_presence_enabled=presence.get("enabled", True) is not False,
            acknowledges=broadcast.get("ack") is True,
            hears_itself=broadcast.get("self") is True,
        )
        if self.hub.limits.is_private_only and not options.is_private:
            raise JoinRefused("PrivateOnly: This project only allows private channels")
        given = config.get("postgres_changes") or []
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            raise JoinRefused("InvalidJoinPayload: postgres_changes must be a list of objects")
        if self._bindings() + len(given) > self.hub.limits.bindings_max:
            raise JoinRefused("ChannelRateLimitReached: Too many subscriptions to changes")
        waits = _object(config.get("postgres_changes_options")).get("wait") is True
        return options, [(_binding_id(each), each) for each in given], waits

    async def _take_token(self, message: Message) -> None:
        channel = self.channels.get(message.topic)
        token = message.payload.get("access_token")
        if channel is None or not isinstance(token, str) or token.startswith("sb_"):
            return
        try:
            await channel.renew(await self.hub.identify(token))
        except JoinRefused as refused:
            channel.shut(str(refused))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _binding_id(given: Mapping[str, Any]) -> int:
    """Number a binding by what it asks for, so that equal ones are one."""
    written = orjson.dumps(given, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(blake2b(written, digest_size=4).digest(), "big") >> 1


class Channel:
    """A topic that a client joined."""

    def __init__(
        self,
        connection: RealtimeConnection,
        joined: Message,
        options: ChannelOptions,
        client: ApiClient,
    ) -> None:
        self.topic = joined.topic
        self.name = joined.topic.removeprefix(PREFIX)
        self.key = channel_key(self.name, is_private=options.is_private)
        self.channel_id = secrets.token_hex(_SENDER_BYTES // 2)
        self._is_closed = False
        self._connection = connection
        self._hub = connection.hub
        self._join_ref = joined.join_ref or joined.ref
        self._options = options
        self._client = client
        self._reader = _reader(client)
        self._rights = _ALL_RIGHTS
        self._bindings: dict[int, Binding] = {}
        self._stop: Stop | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def reader(self) -> Reader:
        """As whom it reads at present."""
        return self._reader

    @property
    def bindings(self) -> int:
        """How many subscriptions to changes it has."""
        return len(self._bindings)

    def is_closed(self) -> bool:
        """Whether it was left, by the client or by us."""
        return self._is_closed

    # ------------------------------------------------------------------ joining and leaving

    async def authorize(self) -> None:
        """Ask what may be done here, where the channel is private; raise `JoinRefused`."""
        if not self._options.is_private:
            return
        self._rights = await self._hub.find_rights(self._client, self.name)
        if self.is_closed():
            raise JoinRefused("Unauthorized: the session has ended")
        if not (self._rights.receives_broadcast or self._rights.receives_presence):
            raise JoinRefused(
                "Unauthorized: You do not have permissions to read from this Channel topic: "
                f"{self.name}"
            )

    def open(self) -> None:
        """Be one of the connection's channels; raise `TooManySubscribers`."""
        self._stop = self._hub.follow_broadcasts(self)
        self._connection.channels[self.topic] = self

    async def bind(self, given: Sequence[tuple[int, dict[str, Any]]]) -> str | None:
        """Subscribe to changes of tables; gives what is wrong with what was asked for."""
        if not given:
            return None
        number = 0
        try:
            for number, asked in given:
                self._bindings[number] = parse_binding(asked)
            await self._hub.feed.subscribe(self, self._bindings)
        except InvalidFilter as invalid:
            self._bindings.clear()
            return _not_bound(dict(given)[invalid.binding_id or number], str(invalid))
        except PlayhallError:
            self._bindings.clear()
            raise JoinRefused("UnableToConnectToProject: try again later") from None
        return None

    def begin(self, problem: str | None, *, is_bound: bool) -> None:
        """Send what comes after the answer to a join."""
        if is_bound:
            status = "ok" if problem is None else "error"
            message = "Subscribed to PostgreSQL" if problem is None else problem
            self._push_system("postgres_changes", status, message)
        if self._options.is_presence_enabled:
            try:
                self._join_presence()
            except TooManySubscribers:
                self._options.is_presence_enabled = False
                self._push_system("presence", "error", _TOO_MANY_USERS)

    def leave(self) -> None:
        """Let go of everything; nothing is sent."""
        if self.is_closed():
            return
        self._is_closed = True
        if self._connection.channels.get(self.topic) is self:
            del self._connection.channels[self.topic]
        self._release()
        if self._stop is not None:
            self._stop()
        self._hub.feed.unsubscribe(self)
        self._hub.presence.leave(self.key, self)

    def close(self) -> None:
        """Leave, and say so."""
        if not self.is_closed():
            self.leave()
            self._push("phx_close", {}, ref=self._join_ref)

    def shut(self, message: str) -> None:
        """Close it for a reason that the client is told."""
        if not self.is_closed():
            self._push_system("system", "error", message)
            self.close()

    def lose_changes(self, reason: str) -> None:
        """Have the client join again, since changes may have been missed."""
        if not self.is_closed():
            self._push_system("postgres_changes", "error", reason)
            self.leave()
            self._push("phx_error", {}, ref=self._join_ref)

    async def renew(self, client: ApiClient) -> None:
        """Work as whom a new token names; raise `JoinRefused`."""
        if self.is_closed():
            return
        if self._options.is_private:
            rights = await self._find_rights_of(client)
            if not (rights.receives_broadcast or rights.receives_presence):
                raise JoinRefused(
                    f"You no longer have permission to read from this Channel topic: {self.name}"
                )
            self._rights = rights
        if self.is_closed():
            return
        self._release()
        self._client, self._reader = client, _reader(client)
        self.hold()
        if self._bindings:  # another role may read other columns
            try:
                await self._hub.feed.subscribe(self, self._bindings)
            except InvalidFilter as invalid:
                raise JoinRefused(f"RealtimeDisabledForConfiguration: {invalid}") from None
            except PlayhallError:
                raise JoinRefused("UnableToConnectToProject: try again later") from None
            if self.is_closed():
                self._hub.feed.unsubscribe(self)

    async def _find_rights_of(self, client: ApiClient) -> ChannelRights:
        """Ask what somebody may do here; their session may end meanwhile, and so the channel."""
        self._hub.hold(self, client)
        try:
            return await self._hub.find_rights(client, self.name)
        finally:
            self._hub.release(self, client)
            if not self.is_closed():
                self._hub.hold(self, self._client)  # it may have names in common

    def hold(self) -> None:
        """Be found when the session ends, and end with the token."""
        self._hub.hold(self, self._client)
        if (who := self._client.identity) is not None:
            left_s = max(0.0, who.expires_at - self._hub.clock.now().timestamp())
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(left_s, self.shut, "Token has expired")

    def _release(self) -> None:
        self._hub.release(self, self._client)
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    # ------------------------------------------------------------------ broadcast

    def take_broadcast(self, message: Message) -> None:
        """Broadcast what the client sends, where it may."""
        is_bytes = message.data is not None
        payload = message.data if message.data is not None else orjson.dumps(message.payload)
        event = message.payload.get("event")
        if not isinstance(event, str):
            event = ""
        problem = None
        if not self._rights.sends_broadcast:
            problem = "Unauthorized: You do not have permissions to send to this Channel topic"
        elif len(payload) > BROADCAST_BYTES_MAX:
            problem = f"PayloadTooLarge: a broadcast can have at most {BROADCAST_BYTES_MAX} bytes"
        elif len(event) > EVENT_CHARS_MAX:
            problem = f"InvalidEvent: an event can have at most {EVENT_CHARS_MAX} characters"
        else:
            self._hub.broadcast(
                self.key,
                event,
                payload,
                sender=self.channel_id,
                is_bytes=is_bytes,
            )
        if self._options.acknowledges:
            status = "ok" if problem is None else "error"
            self._connection.reply(
                message, {} if problem is None else {"reason": problem}, status=status
            )

    def push_broadcast(self, raw: bytes) -> None:
        """Send what was broadcast on the topic, on whichever node."""
        if not raw or not self._rights.receives_broadcast:
            return
        sender = raw[1 : 1 + _SENDER_BYTES].decode()
        if sender == self.channel_id and not self._options.hears_itself:
            return
        at = 1 + _SENDER_BYTES
        begins = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        payload, version = raw[begins:], self._connection.version
        if raw[:1] == _TEXT_KIND:
            self._connection.send(encode(version, self.topic, "broadcast", payload))
        else:
            event = raw[at + 2 : begins].decode()
            frame = encode_bytes(version, self.topic, event, payload)
            if frame is not None:
                self._connection.send(frame)

    # ------------------------------------------------------------------ presence

    def take_presence(self, message: Message) -> None:
        """Track or untrack, where the client may."""
        what = str(message.payload.get("event", "")).lower()
        problem = None
        if not self._rights.sends_presence:
            problem = "Unauthorized: You do not have permissions to track on this Channel topic"
        elif what == "track":
            problem = self._track(message.payload.get("payload", {}))
        elif what == "untrack":
            self._hub.presence.untrack(self.key, self)
        else:
            problem = "UnknownPresenceEvent: track or untrack"
        if not self.is_closed():
            status = "ok" if problem is None else "error"
            self._connection.reply(
                message, {} if problem is None else {"reason": problem}, status=status
            )

    def _track(self, meta: object) -> str | None:
        if not isinstance(meta, dict):
            return "Presence track payload must be a map"
        if len(orjson.dumps(meta)) > META_BYTES_MAX:
            self.shut("Track message size exceeded")
            return None
        try:
            if not self._options.is_presence_enabled:
                self._join_presence()
                self._options.is_presence_enabled = True
            self._hub.presence.track(self.key, self, self._options.presence_key, meta)
        except TooManyPresent:
            return "PresenceRateLimitReached: too many are present on this topic"
        except TooManySubscribers:
            return _TOO_MANY_USERS
        return None

    def _join_presence(self) -> None:
        state = self._hub.presence.join(self.key, self)
        if self._rights.receives_presence:
            self._push("presence_state", state)

    def push_presence(self, diff: bytes) -> None:
        """Send who joined and left."""
        if self._rights.receives_presence:
            version = self._connection.version
            self._connection.send(encode(version, self.topic, "presence_diff", diff))

    # ------------------------------------------------------------------ changes

    def push_change(self, data: bytes, binding_ids: Sequence[int]) -> None:
        """Send a change of a table."""
        payload = b'{"ids":%b,"data":%b}' % (orjson.dumps(list(binding_ids)), data)
        version = self._connection.version
        self._connection.send(encode(version, self.topic, "postgres_changes", payload))

    # ------------------------------------------------------------------ details

    def _push(self, event: str, payload: object, *, ref: str | None = None) -> None:
        self._connection.push(self.topic, event, payload, ref=ref, join_ref=self._join_ref)

    def _push_system(self, extension: str, status: str, message: str) -> None:
        said = {"extension": extension, "status": status, "message": message}
        self._push("system", {**said, "channel": self.name})


def _not_bound(asked: Mapping[str, Any], problem: str) -> str:
    """Write why changes cannot be subscribed to, as Supabase does."""
    shown = ", ".join(
        f"{name}: {asked.get(name, '*')}" for name in ("event", "schema", "table", "filter")
    )
    return (
        "Unable to subscribe to changes with given parameters. Please check Realtime is enabled "
        f"for the given connect parameters: [{shown[:300]}]: {problem}"
    )
