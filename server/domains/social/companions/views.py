"""From what is stored to what is sent, and the cursors of lists. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from persistence.companions.store import (
    PagePlace,
    StoredBond,
    StoredConversation,
    StoredMemory,
    StoredMessage,
)
from protocol import companions as wire
from server.core.clock import wire_fields
from server.core.cursors import CursorCodec
from server.domains.social.companions.preferences import (
    EXPLANATION,
    TRAITS,
    Preferences,
    match_percent,
    read_traits,
    style_of,
)

CONVERSATIONS: Final = CursorCodec("conversations", PagePlace, datetime, UUID)
MESSAGES: Final = CursorCodec("companion messages", PagePlace, datetime, UUID)
MEMORIES: Final = CursorCodec("memories", PagePlace, datetime, UUID)


def read_place(codec: CursorCodec[PagePlace], cursor: str | None) -> PagePlace | None:
    """Read where a list goes on; None is the start."""
    return None if cursor is None else codec.read(cursor)


def conversation_of(stored: StoredConversation) -> wire.Conversation:
    """Write a conversation."""
    fields = wire_fields(stored)
    del fields["summary"]
    return wire.Conversation(**fields)


def message_of(stored: StoredMessage) -> wire.CompanionMessage:
    """Write a message."""
    return wire.CompanionMessage(**wire_fields(stored))


def memory_of(stored: StoredMemory) -> wire.Memory:
    """Write a memory."""
    return wire.Memory(**wire_fields(stored))


def bond_of(stored: StoredBond | None, luminor_id: str) -> wire.Bond:
    """Write a bond; without a row it has not begun."""
    if stored is not None:
        return wire.Bond(**wire_fields(stored))
    first: dict[str, Any] = {"bond_level": 1, "bond_xp": 0, "xp_for_next_level": 100}
    return wire.Bond(
        luminor_id=luminor_id,
        level_progress_percent=0.0,
        total_interactions=0,
        last_interaction_at=None,
        **first,
    )


def preferences_of(
    luminor_id: str, preferences: Preferences, personality: Mapping[str, Any], *, rated: int
) -> wire.CompanionPreferences:
    """Write what somebody prefers in a companion, and how it comes about."""
    chosen, learned, used = preferences.chosen, preferences.learned, preferences.used
    own = read_traits(personality)
    return wire.CompanionPreferences(
        luminor_id=luminor_id,
        traits=[
            wire.TraitPreference(
                trait=trait,
                chosen=chosen.traits.get(trait),
                learned=learned.traits.get(trait),
                used=used.traits.get(trait),
                companion=own.get(trait),
            )
            for trait in TRAITS
        ],
        length_chosen=chosen.length,
        length_learned=learned.length,
        length_used=used.length,
        match_percent=match_percent(used, personality),
        tone=list(style_of(used, personality)),
        rated_answers=rated,
        learned_since=None,
        explanation=EXPLANATION,
    )
