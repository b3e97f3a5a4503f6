"""`/v1/players/{player_id}/storage` and `/v1/games/{game_id}/storage`."""

from functools import partial
from typing import Final

from persistence.eventlog.hashchain import InvalidPayload, canonical_json
from persistence.storage.store import ObjectName, ObjectStore, StoredObjectRow
from protocol import storage as wire
from protocol.errors import Forbidden, GameNotFound, InvalidField, RateLimited
from protocol.ids import GameId, PlayerId
from server.core.clock import Clock, wire_time
from server.core.cursors import CursorCodec
from server.core.rate_limits import Rate, RateLimiter
from server.domains.content.storage.settings import StorageSettings
from server.domains.interfaces import GameSeats
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "storage"
OF_PLAYER: Final = "/v1/players/{player_id}/storage/{collection}"
OF_GAME: Final = "/v1/games/{game_id}/storage/{collection}"

_CURSOR: Final = CursorCodec("storage", str, str)


class StorageRoutes:
    """The addresses of stored objects."""

    def __init__(
        self, store: ObjectStore, seats: GameSeats, *, settings: StorageSettings, clock: Clock
    ) -> None:
        self._store = store
        self._seats = seats
        self._settings = settings
        per_minute = settings.writes_per_minute
        self._admit = AccountLimit(
            RateLimiter(
                "storage", Rate(per_minute, per_minute), "You are writing too much at once"
            ),
            clock,
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        read = partial(Endpoint, "GET", tag=TAG)
        change = partial(Endpoint, tag=TAG, auth="required", admit=self._admit)
        usual = (wire.ObjectNotFound, InvalidField)
        in_game = (*usual, GameNotFound)
        refused = (wire.ObjectChanged, wire.ObjectReadOnly, Forbidden, RateLimited)
        return [
            read(
                OF_PLAYER,
                "List a player's objects that you may read, by key.",
                self._list_of_player,
                query=wire.ObjectsQuery,
                answer=wire.StoredObjects,
                errors=(InvalidField,),
            ),
            read(
                f"{OF_PLAYER}/{{key}}",
                "Read a player's object.",
                self._read_of_player,
                answer=wire.StoredObject,
                errors=usual,
            ),
            change(
                "PUT",
                f"{OF_PLAYER}/{{key}}",
                "Write an object of your own.",
                self._write_own,
                body=wire.ObjectWrite,
                answer=wire.StoredObject,
                errors=(*usual, *refused, wire.TooManyObjects),
            ),
            change(
                "DELETE",
                f"{OF_PLAYER}/{{key}}",
                "Delete an object of your own.",
                self._delete_own,
                query=wire.ObjectDelete,
                answer=wire.ObjectDeleted,
                errors=(*usual, *refused),
            ),
            read(
                OF_GAME,
                "List a game's objects that you may read, by key.",
                self._list_of_game,
                query=wire.ObjectsQuery,
                answer=wire.StoredObjects,
                errors=(InvalidField, GameNotFound),
            ),
            read(
                f"{OF_GAME}/{{key}}",
                "Read an object of a game.",
                self._read_of_game,
                answer=wire.StoredObject,
                errors=in_game,
            ),
            change(
                "PUT",
                f"{OF_GAME}/{{key}}",
                "Write an object of a game in which you have a seat.",
                self._write_of_game,
                body=wire.ObjectWrite,
                answer=wire.StoredObject,
                errors=(*in_game, *refused, wire.TooManyObjects),
            ),
            change(
                "DELETE",
                f"{OF_GAME}/{{key}}",
                "Delete an object of a game in which you have a seat.",
                self._delete_of_game,
                query=wire.ObjectDelete,
                answer=wire.ObjectDeleted,
                errors=(*in_game, *refused),
            ),
        ]

    # ------------------------------------------------------------------ of players

    async def _list_of_player(self, request: HttpRequest) -> wire.StoredObjects:
        path, query = request.parse_path(wire.PlayerCollectionPath), request.query
        rows = await self._store.list_of_player(
            request.requester,
            path.player_id,
            path.collection,
            prefix=query.prefix,
            after=_after(query),
            limit=query.limit,
        )
        return _page(rows, query)

    async def _read_of_player(self, request: HttpRequest) -> wire.StoredObject:
        path = request.parse_path(wire.PlayerObjectPath)
        name = ObjectName(path.collection, path.key)
        return _shown(await self._store.read_of_player(request.requester, path.player_id, name))

    async def _write_own(self, request: HttpRequest) -> wire.StoredObject:
        body: wire.ObjectWrite = request.body
        name = _own_name(request)
        _check_value(body)
        return _shown(
            await self._store.write_own(
                request.who.requester,
                name,
                body.value,
                read_by=body.read_by,
                version=body.version,
                at_most=self._settings.objects_per_player,
            )
        )

    async def _delete_own(self, request: HttpRequest) -> wire.ObjectDeleted:
        name, query = _own_name(request), request.query
        await self._store.delete_own(request.who.requester, name, version=query.version)
        return wire.ObjectDeleted(key=name.key)

    # ------------------------------------------------------------------ of games

    async def _list_of_game(self, request: HttpRequest) -> wire.StoredObjects:
        path, query = request.parse_path(wire.GameCollectionPath), request.query
        is_seated = await self._is_seated(request, path.game_id)
        rows = await self._store.list_of_game(
            path.game_id,
            path.collection,
            is_seated=is_seated,
            prefix=query.prefix,
            after=_after(query),
            limit=query.limit,
        )
        return _page(rows, query)

    async def _read_of_game(self, request: HttpRequest) -> wire.StoredObject:
        path = request.parse_path(wire.GameObjectPath)
        is_seated = await self._is_seated(request, path.game_id)
        found = await self._store.read_of_game(path.game_id, ObjectName(path.collection, path.key))
        if found.read_by == "server" or (found.read_by == "owner" and not is_seated):
            raise wire.ObjectNotFound
        return _shown(found)

    async def _write_of_game(self, request: HttpRequest) -> wire.StoredObject:
        body: wire.ObjectWrite = request.body
        path = request.parse_path(wire.GameObjectPath)
        _check_value(body)
        await self._require_seat(request, path.game_id)
        return _shown(
            await self._store.write_of_game(
                path.game_id,
                ObjectName(path.collection, path.key),
                body.value,
                read_by=body.read_by,
                version=body.version,
                at_most=self._settings.objects_per_game,
            )
        )

    async def _delete_of_game(self, request: HttpRequest) -> wire.ObjectDeleted:
        path, query = request.parse_path(wire.GameObjectPath), request.query
        await self._require_seat(request, path.game_id)
        name = ObjectName(path.collection, path.key)
        await self._store.delete_of_game(path.game_id, name, version=query.version)
        return wire.ObjectDeleted(key=path.key)

    async def _is_seated(self, request: HttpRequest, game_id: GameId) -> bool:
        """Say whether they have a seat; raise `GameNotFound` for a game that they may not see."""
        player_id: PlayerId | None = None if request.identity is None else request.who.player_id
        await self._seats.require_readable(game_id, player_id)
        return player_id is not None and (
            await self._seats.find_seat(game_id, player_id) is not None
        )

    async def _require_seat(self, request: HttpRequest, game_id: GameId) -> None:
        if not await self._is_seated(request, game_id):
            raise Forbidden("Only players with a seat in this game write its objects.")


def _own_name(request: HttpRequest) -> ObjectName:
    """Read the name of an object of one's own; raise `Forbidden` for another player's."""
    path = request.parse_path(wire.PlayerObjectPath)
    if path.player_id != request.who.player_id:
        raise Forbidden("You write your own objects only; use your player_id.")
    return ObjectName(path.collection, path.key)


def _check_value(body: wire.ObjectWrite) -> None:
    try:
        size = len(canonical_json(body.value))
    except InvalidPayload as bad:
        raise InvalidField(f"value: {bad}.", field="value") from None
    if size > wire.VALUE_BYTES_MAX:
        raise InvalidField(
            f"value: {size} bytes are more than the {wire.VALUE_BYTES_MAX} of an object.",
            field="value",
        )
    if body.read_by == "server":
        raise InvalidField(
            "read_by: say public or owner; server is for the server's.", field="read_by"
        )


def _after(query: wire.ObjectsQuery) -> str:
    return "" if query.cursor is None else _CURSOR.read(query.cursor)


def _page(rows: list[StoredObjectRow], query: wire.ObjectsQuery) -> wire.StoredObjects:
    return wire.StoredObjects(
        objects=[_shown(row) for row in rows],
        next=_CURSOR.after_page(rows, query.limit, lambda row: row.key),
    )


def _shown(row: StoredObjectRow) -> wire.StoredObject:
    return wire.StoredObject.model_validate(
        {**row._asdict(), "updated_at": wire_time(row.updated_at)}
    )
