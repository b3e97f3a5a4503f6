"""Collaborators on the wire: invitations to creations, and who is in one now."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from protocol.blueprints import WireUserId
from protocol.creations import WireCreationId
from protocol.envelope import Command, Ok, Update, WireModel
from protocol.errors import PlayhallError
from protocol.text import ONE_LINE

COLLABORATORS_MAX: Final = 20  # of one creation
COLLABORATIONS_MAX: Final = 500  # of one account
JOINED_MAX: Final = 8  # creations that one connection is in

CollaboratorRole = Literal["editor", "viewer"]
Focus = Annotated[
    str,
    StringConstraints(max_length=100),
    ONE_LINE,
    Field(description="What somebody has in hand, as clients agree: a field, a place in it."),
]


class CollaboratorTaken(PlayhallError):
    """This person is invited already, or is a collaborator."""

    code, status = "collaborator_taken", 409


class CollaboratorNotFound(PlayhallError):
    """There is no such invitation or collaborator."""

    code, status = "collaborator_not_found", 404


class TooManyCollaborators(PlayhallError):
    """The creation or the person has the maximum number of collaborations."""

    code, status = "too_many_collaborators", 409


class NewCollaborator(WireModel):
    """An invitation to a creation of yours."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=64), ONE_LINE]
    role: CollaboratorRole = "editor"


class CollaboratorChange(WireModel):
    """Another role."""

    role: CollaboratorRole


class CollaboratorPath(WireModel):
    """The creation and the person in an address."""

    creation_id: WireCreationId
    user_id: WireUserId


class Collaborator(WireModel):
    """Somebody who is invited to a creation, or who accepted."""

    creation_id: WireCreationId
    user_id: WireUserId
    username: str | None
    display_name: str | None
    avatar_url: str | None
    role: CollaboratorRole
    accepted_at: str | None = Field(description="Null while it is an invitation.")
    created_at: str


class Collaborators(WireModel):
    """The collaborators of a creation, oldest first."""

    collaborators: list[Collaborator]


class CollaboratorRemoved(WireModel):
    """The person is neither invited nor a collaborator any more."""

    creation_id: WireCreationId
    user_id: WireUserId


class Collaboration(WireModel):
    """A creation of somebody else to which you are invited, or on which you collaborate."""

    creation_id: WireCreationId
    owner_id: WireUserId
    owner_username: str | None
    title: str | None = Field(description="Null until you accept, unless it is published.")
    role: CollaboratorRole
    accepted_at: str | None
    created_at: str


class Collaborations(WireModel):
    """Your collaborations and invitations, newest first; at most 500."""

    collaborations: list[Collaboration]


# ------------------------------------------------------------------ presence


class PersonPresent(WireModel):
    """Somebody who is in a creation now."""

    user_id: WireUserId
    username: str | None
    role: Literal["owner", "editor", "viewer"]
    focus: Focus | None


class JoinCreation(Command):
    """Be seen in a creation of yours or on which you collaborate, and see who else is."""

    reply: ClassVar[type[WireModel]] = Ok
    type: Literal["creation.join"]
    creation_id: WireCreationId
    focus: Focus | None = None


class FocusCreation(Command):
    """Show the others what you have in hand; null for nothing."""

    reply: ClassVar[type[WireModel]] = Ok
    type: Literal["creation.focus"]
    creation_id: WireCreationId
    focus: Focus | None = None


class LeaveCreation(Command):
    """Be in a creation no longer."""

    type: Literal["creation.leave"]
    creation_id: WireCreationId


class CreationPresence(Update):
    """Who is in a creation now, on all nodes; you are in it yourself, or were removed."""

    type: Literal["creation.presence"] = "creation.presence"
    creation_id: WireCreationId
    people: list[PersonPresent]


COMMANDS: tuple[type[Command], ...] = (JoinCreation, FocusCreation, LeaveCreation)
UPDATES: tuple[type[Update], ...] = (CreationPresence,)
