"""Collaborators of creations over HTTP."""

from functools import partial
from typing import Any, Final

from persistence.collaborations.store import CollaborationStore
from protocol import collaborations as wire
from protocol.creations import CreationNotFound, CreationPath
from protocol.errors import Forbidden, InvalidField, RateLimited
from protocol.follows import PersonNotFound
from server.core.clock import Clock, wire_time
from server.core.rate_limits import Rate, RateLimiter
from server.domains.social.collaborations.presence import LivePresence
from server.domains.social.collaborations.settings import CollaborationSettings
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "creations"
ALL: Final = "/v1/creations/{creation_id}/collaborators"
ONE: Final = f"{ALL}/{{user_id}}"


class CollaborationRoutes:
    """The addresses of collaborators."""

    def __init__(
        self,
        store: CollaborationStore,
        presence: LivePresence,
        settings: CollaborationSettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._presence = presence
        per_minute = settings.changes_per_minute
        self._admit = AccountLimit(
            RateLimiter(
                "collaborations",
                Rate(per_minute, per_minute),
                "You are changing too many collaborations at once",
            ),
            clock,
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        change = partial(Endpoint, auth="required", tag=TAG, admit=self._admit)
        gone = (wire.CollaboratorNotFound, InvalidField, RateLimited)
        return [
            Endpoint(
                "GET",
                ALL,
                "List the collaborators of a creation of yours, or on which you collaborate.",
                self._list,
                auth="required",
                answer=wire.Collaborators,
                errors=(CreationNotFound, InvalidField),
                tag=TAG,
            ),
            change(
                "POST",
                ALL,
                "Invite a person to a creation of yours.",
                self._invite,
                body=wire.NewCollaborator,
                answer=wire.Collaborator,
                errors=(
                    *(CreationNotFound, Forbidden, PersonNotFound, wire.CollaboratorTaken),
                    *(wire.TooManyCollaborators, InvalidField, RateLimited),
                ),
            ),
            change(
                "PATCH",
                ONE,
                "Give a collaborator another role.",
                self._change,
                body=wire.CollaboratorChange,
                answer=wire.Collaborator,
                errors=(CreationNotFound, Forbidden, *gone),
            ),
            change(
                "DELETE",
                ONE,
                "Remove a collaborator, or leave a creation yourself.",
                self._remove,
                answer=wire.CollaboratorRemoved,
                errors=gone,
            ),
            Endpoint(
                "GET",
                "/v1/me/collaborations",
                "List the creations on which you collaborate, or to which you are invited.",
                self._list_own,
                auth="required",
                answer=wire.Collaborations,
                tag=TAG,
            ),
            change(
                "POST",
                "/v1/me/collaborations/{creation_id}/accept",
                "Accept an invitation; DELETE yourself from the collaborators to decline.",
                self._accept,
                answer=wire.Collaborator,
                errors=gone,
            ),
        ]

    async def _list(self, request: HttpRequest) -> wire.Collaborators:
        path = request.parse_path(CreationPath)
        rows = await self._store.list_collaborators(request.who.requester, path.creation_id)
        return wire.Collaborators(collaborators=[_view(row) for row in rows])

    async def _invite(self, request: HttpRequest) -> wire.Collaborator:
        path, new = request.parse_path(CreationPath), request.body
        who = request.who.requester
        return _view(await self._store.invite(who, path.creation_id, new.username, new.role))

    async def _change(self, request: HttpRequest) -> wire.Collaborator:
        path, who = request.parse_path(wire.CollaboratorPath), request.who.requester
        role = request.body.role
        row = await self._store.change_role(who, path.creation_id, path.user_id, role)
        self._presence.announce_change(path.creation_id)
        return _view(row)

    async def _remove(self, request: HttpRequest) -> wire.CollaboratorRemoved:
        path = request.parse_path(wire.CollaboratorPath)
        await self._store.remove(request.who.requester, path.creation_id, path.user_id)
        self._presence.announce_change(path.creation_id)
        return wire.CollaboratorRemoved(creation_id=path.creation_id, user_id=path.user_id)

    async def _list_own(self, request: HttpRequest) -> wire.Collaborations:
        rows = await self._store.list_own(request.who.requester)
        return wire.Collaborations(
            collaborations=[wire.Collaboration(**_with_times(row)) for row in rows]
        )

    async def _accept(self, request: HttpRequest) -> wire.Collaborator:
        path = request.parse_path(CreationPath)
        row = await self._store.accept(request.who.requester, path.creation_id)
        self._presence.announce_change(path.creation_id)  # whom blocks hide may be different now
        return _view(row)


def _view(record: Any) -> wire.Collaborator:
    return wire.Collaborator(**_with_times(record))


def _with_times(record: Any) -> dict[str, Any]:
    fields = dict(record)
    for name in ("accepted_at", "created_at"):
        fields[name] = fields[name] and wire_time(fields[name])
    return fields
