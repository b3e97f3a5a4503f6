"""Companions on the wire: luminors, conversations, answers that come in pieces, memories, bonds.

Offsets count Unicode code points of an answer's text, from 0.
"""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from protocol.envelope import Command, Ok, Update, WireModel
from protocol.errors import PlayhallError
from protocol.history import Limit
from protocol.ids import UUID_PATTERN
from protocol.lobbies import Cursor, SearchText, pattern_with_message
from protocol.schemas import JsonObject
from protocol.text import NAME, ONE_LINE, SOME_LINES, TEXT

MESSAGE_CHARS_MAX: Final = 4000
ANSWER_CHARS_MAX: Final = 16_000  # at most four bytes each, so a row takes them
OFFSET_MAX: Final = 65_536

Id = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
Prompt = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MESSAGE_CHARS_MAX),
    TEXT,
]
RequestId = Annotated[str, StringConstraints(min_length=1, max_length=128), ONE_LINE]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200), NAME]
Offset = Annotated[int, Field(ge=0, le=OFFSET_MAX)]
MessageStatus = Literal["streaming", "complete", "stopped", "failed"]
Failure = Literal[
    "provider_error", "provider_timeout", "cut_off", "too_long", "withheld", "interrupted"
]
MemoryText = Annotated[str, StringConstraints(min_length=1, max_length=2000), TEXT]
MemoryType = Annotated[
    str,
    StringConstraints(max_length=64),
    pattern_with_message(r"[a-z][a-z0-9_]*", "Name a type with a to z, digits and underscores"),
]
Trait = Literal["warmth", "curiosity", "precision", "playfulness", "energy"]
AnswerLength = Literal["short", "medium", "long"]
TraitValue = Annotated[float, Field(ge=0, le=1)]
Importance = Annotated[int, Field(ge=1, le=10)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64), ONE_LINE]


class LuminorPath(WireModel):
    """Which companion."""

    luminor_id: Id


class ConversationPath(WireModel):
    """Which conversation."""

    conversation_id: Id


class MessagePath(WireModel):
    """Which message."""

    message_id: Id


class MemoryPath(WireModel):
    """Which memory."""

    memory_id: Id


# ------------------------------------------------------------------ errors


class LuminorNotFound(PlayhallError):
    """There is no such companion, or it is not available."""

    code, status = "luminor_not_found", 404


class LuminorSlugTaken(PlayhallError):
    """Another companion has this slug."""

    code, status = "luminor_slug_taken", 409


class ConversationNotFound(PlayhallError):
    """You have no conversation with this id."""

    code, status = "conversation_not_found", 404


class ConversationArchived(PlayhallError):
    """The conversation is archived; take it out of the archive to continue it."""

    code, status = "conversation_archived", 409


class SessionTaken(PlayhallError):
    """Another active conversation with this companion has the same `session_id`."""

    code, status = "session_taken", 409


class MessageNotFound(PlayhallError):
    """You have no such message, or it is not an answer."""

    code, status = "message_not_found", 404


class MessageRefused(PlayhallError):
    """The message is not allowed here."""

    code, status = "message_refused", 422


class CompanionBusy(PlayhallError):
    """The companion is still answering in this conversation; wait for the answer or stop it."""

    code, status, retry = "companion_busy", 409, True


class CompanionQuota(PlayhallError):
    """You have sent as many messages to companions as your tier allows in a day."""

    code, status = "companion_quota", 429


class MemoryNotFound(PlayhallError):
    """You have no such memory with a companion."""

    code, status = "memory_not_found", 404


class TooManyMemories(PlayhallError):
    """The companion remembers as much of you as it can; delete some memories first."""

    code, status = "too_many_memories", 409


# ------------------------------------------------------------------ companions


class Luminor(WireModel):
    """A companion, as everybody sees it."""

    luminor_id: Id
    name: str
    slug: str
    title: str
    specialty: str
    color: str
    avatar_url: str | None
    icon: str | None
    personality: JsonObject
    greeting_message: str
    expertise: list[str]
    ai_tools: list[str]
    interaction_count: int
    user_count: int
    average_rating: float | None
    rating_count: int


class Luminors(WireModel):
    """The companions that can be talked to, and what writes their answers."""

    luminors: list[Luminor]
    model: str
    is_offline: bool = Field(
        description="Answers come from templates of the server, and not from a language model."
    )


class LuminorRequest(WireModel):
    """A companion as an admin writes it."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64), NAME]
    slug: Annotated[
        str,
        StringConstraints(max_length=64),
        pattern_with_message(r"[a-z0-9][a-z0-9-]*", "Use a to z, digits and hyphens"),
    ]
    title: Annotated[str, StringConstraints(max_length=200), ONE_LINE] = ""
    specialty: Annotated[str, StringConstraints(max_length=200), ONE_LINE] = ""
    color: Annotated[str, pattern_with_message(r"#[0-9A-Fa-f]{6}", "Write a colour as #4444FF")] = (
        "#888888"
    )
    avatar_url: Annotated[str, StringConstraints(max_length=2048), ONE_LINE] | None = None
    icon: Annotated[str, StringConstraints(max_length=64), ONE_LINE] | None = None
    personality: JsonObject = Field(default_factory=dict)
    system_prompt: Annotated[str, StringConstraints(min_length=1, max_length=16_384), TEXT]
    greeting_message: Annotated[str, StringConstraints(max_length=2000), SOME_LINES] = ""
    expertise: Annotated[list[Word], Field(max_length=32)] = Field(default_factory=list)
    ai_tools: Annotated[list[Word], Field(max_length=32)] = Field(default_factory=list)
    is_active: bool = True
    is_public: bool = True


class LuminorDefinition(Luminor):
    """A companion with what only admins see."""

    system_prompt: str
    is_active: bool
    is_public: bool


class LuminorDefinitions(WireModel):
    """All companions, hidden ones too."""

    luminors: list[LuminorDefinition]


class LuminorDeleted(WireModel):
    """A companion is gone, with its conversations, bonds and memories."""

    luminor_id: Id


# ------------------------------------------------------------------ conversations


class ConversationRequest(WireModel):
    """Which conversation to continue, or to begin."""

    luminor_id: Id
    session_id: RequestId | None = Field(
        default=None, description="Your key of the thread; without it, the newest active one."
    )


class ConversationChange(WireModel):
    """What to change; what is left out stays."""

    title: Title | None = None
    is_archived: bool | None = None


class ConversationQuery(WireModel):
    """Which of your conversations to list."""

    luminor_id: Id | None = None
    text: SearchText = Field(default="", description="In the title or in a message.")
    is_archived: bool = False
    cursor: Cursor | None = None
    limit: Limit = 20


class PageQuery(WireModel):
    """One page of a list; `cursor` is the `next` of the page before."""

    cursor: Cursor | None = None
    limit: Limit = 20


class Conversation(WireModel):
    """A thread of yours with a companion."""

    conversation_id: Id
    luminor_id: Id
    title: str | None
    session_id: str | None
    is_active: bool
    is_archived: bool
    message_count: int
    created_at: str
    updated_at: str
    last_message_at: str | None


class Conversations(WireModel):
    """Conversations, the last changed first."""

    conversations: list[Conversation]
    next: str | None


class ConversationDeleted(WireModel):
    """The conversation and its messages are gone; memories stay."""

    conversation_id: Id


class CompanionMessage(WireModel):
    """A message of a conversation."""

    message_id: Id
    conversation_id: Id
    role: Literal["user", "assistant"]
    content: str
    status: MessageStatus
    failure: Failure | None = Field(description="Why an answer is not complete.")
    model: str | None
    tokens: int | None
    cost: float | None = Field(description="In US dollars.")
    reply_to: Id | None
    user_rating: int | None
    was_helpful: bool | None
    created_at: str


class CompanionMessages(WireModel):
    """Messages, newest first."""

    messages: list[CompanionMessage]
    next: str | None


class MessageRequest(WireModel):
    """Something to say to a companion."""

    text: Prompt
    request_id: RequestId = Field(
        description="Your key of the message: sent twice, it is said once, and the same answer "
        "is followed."
    )
    creation_id: Id | None = Field(
        default=None, description="A creation to talk about, which you can see."
    )


class StreamQuery(WireModel):
    """Where to resume; the header `Last-Event-ID` comes first."""

    offset: Offset = 0


class RatingRequest(WireModel):
    """What you think of an answer; null removes it."""

    user_rating: Annotated[int, Field(ge=1, le=5)] | None = None
    was_helpful: bool | None = None


# ------------------------------------------------------------------ memories, bonds, quotas


class Memory(WireModel):
    """Something that a companion remembers of you."""

    memory_id: Id
    luminor_id: Id
    memory_type: str
    content: str
    importance: int
    source_message_id: Id | None = Field(description="The message that it comes from.")
    superseded_by: Id | None = Field(description="The newer memory that contradicts it.")
    superseded_at: str | None
    created_at: str
    updated_at: str


class MemoryQuery(WireModel):
    """Which memories to list."""

    superseded: bool = Field(default=False, description="Also those that are no longer used.")
    cursor: Cursor | None = None
    limit: Limit = 20


class Memories(WireModel):
    """Memories, newest first."""

    memories: list[Memory]
    next: str | None


class MemoryRequest(WireModel):
    """Something that a companion should remember."""

    memory_type: MemoryType = "fact"
    content: MemoryText
    importance: Importance = 5


class MemoryChange(WireModel):
    """What to change; what is left out stays."""

    memory_type: MemoryType | None = None
    content: MemoryText | None = None
    importance: Importance | None = None


class MemoryDeleted(WireModel):
    """The companion has forgotten it."""

    memory_id: Id


class Bond(WireModel):
    """How close you are to a companion."""

    luminor_id: Id
    bond_level: int
    bond_xp: int
    xp_for_next_level: int
    level_progress_percent: float
    total_interactions: int
    last_interaction_at: str | None


class TraitValues(WireModel):
    """How much of each trait you want, from 0 to 1; without a value it is learned."""

    warmth: TraitValue | None = None
    curiosity: TraitValue | None = None
    precision: TraitValue | None = None
    playfulness: TraitValue | None = None
    energy: TraitValue | None = None


class PreferencesRequest(WireModel):
    """What you choose; what is left out is learned."""

    traits: TraitValues = Field(default_factory=TraitValues)
    length: AnswerLength | None = Field(default=None, description="Of answers.")


class TraitPreference(WireModel):
    """What you prefer of one trait, and what the companion has of it, from 0 to 1."""

    trait: Trait
    chosen: float | None
    learned: float | None
    used: float | None
    companion: float | None


class CompanionPreferences(WireModel):
    """What you prefer in a companion, how it comes about, and how well the companion fits."""

    luminor_id: Id
    traits: list[TraitPreference]
    length_chosen: AnswerLength | None
    length_learned: AnswerLength | None
    length_used: AnswerLength | None
    match_percent: float | None = Field(description="Null while nothing is known of you.")
    tone: list[str] = Field(description="What a model is told because of your preferences.")
    rated_answers: int = Field(description="What was learned from: your newest 500 at most.")
    learned_since: str | None = Field(description="When you reset it; ratings before do not count.")
    explanation: str


class CompanionUsage(WireModel):
    """What you used today, by UTC."""

    day: str
    tier: str
    messages: int
    messages_max: int
    tokens: int
    cost: float = Field(description="In US dollars.")


# ------------------------------------------------------------------ the websocket


class Said(Ok):
    """What you said is stored; the answer follows."""

    message_id: Id
    answer_id: Id


class CompanionSay(Command):
    """Say something to a companion; the answer comes as `companion.delta`s."""

    reply: ClassVar[type[WireModel]] = Said
    type: Literal["companion.say"]
    conversation_id: Id
    text: Prompt
    request_id: RequestId
    creation_id: Id | None = None


class CompanionFollow(Command):
    """Follow an answer from an offset on, after a reconnection for example."""

    reply: ClassVar[type[WireModel]] = Ok
    type: Literal["companion.follow"]
    message_id: Id
    offset: Offset = 0


class CompanionStop(Command):
    """Stop an answer; what was written stays."""

    reply: ClassVar[type[WireModel]] = Ok
    type: Literal["companion.stop"]
    message_id: Id


class CompanionDelta(Update):
    """The next piece of an answer; resume at `next_offset`."""

    type: Literal["companion.delta"] = "companion.delta"
    message_id: Id
    offset: int = Field(description="Where the text begins in the answer.")
    next_offset: int
    text: str


class CompanionAnswered(Update):
    """An answer has ended, however it ended; `message` is it as it is stored."""

    type: Literal["companion.message"] = "companion.message"
    message: CompanionMessage


COMMANDS: tuple[type[Command], ...] = (CompanionSay, CompanionFollow, CompanionStop)
UPDATES: tuple[type[Update], ...] = (CompanionDelta, CompanionAnswered)
