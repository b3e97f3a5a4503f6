"""`/v1/items`, `/v1/currencies`, `/v1/recipes`: what there is, and what editors make of it."""

import re
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from persistence.inventory.definitions import (
    DefinitionKind,
    DefinitionStore,
    RevisionMatch,
    StoredDefinition,
)
from protocol import inventory as wire
from protocol.envelope import WireModel
from protocol.errors import Forbidden, InvalidField
from server.core.clock import wire_time
from server.core.cursors import CursorCodec
from server.gateway.http.endpoints import Endpoint, HttpRequest, RawResponse

TAG: Final = "inventory"
MATCH: Final = {
    "If-Match": "The ETag that you read; * changes whatever is there, or makes a new one.",
    "If-None-Match": "* makes a new one, if there is none.",
}
_TAG: Final = re.compile(r'"([1-9][0-9]{0,15})"')


class DefinitionKindService(NamedTuple):
    """One kind of definitions, and its models."""

    kind: DefinitionKind
    plural: str
    asked: type[WireModel]
    shown: type[WireModel]
    managed: type[WireModel]
    page: type[WireModel]

    @property
    def cursor(self) -> CursorCodec[str]:
        """Where pages begin."""
        return CursorCodec(self.plural, str, str)


KINDS: Final = (
    DefinitionKindService(
        "item", "items", wire.ItemRequest, wire.Item, wire.ManagedItem, wire.Items
    ),
    DefinitionKindService(
        "currency",
        "currencies",
        wire.CurrencyRequest,
        wire.Currency,
        wire.ManagedCurrency,
        wire.Currencies,
    ),
    DefinitionKindService(
        "recipe", "recipes", wire.RecipeRequest, wire.Recipe, wire.Recipe, wire.Recipes
    ),
)


class DefinitionRoutes:
    """The addresses of definitions."""

    def __init__(self, store: DefinitionStore) -> None:
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [endpoint for kind in KINDS for endpoint in self._of(kind)]

    def _of(self, kind: DefinitionKindService) -> list[Endpoint]:
        make = partial(Endpoint, auth="required", scope="editor", tag=TAG)
        none = wire.RecipeNotFound if kind.kind == "recipe" else wire.AssetNotFound
        one = f"/v1/admin/{kind.plural}/{{asset_id}}"
        matching = (wire.MatchRequired, wire.DefinitionChanged)
        return [
            Endpoint(
                "GET",
                f"/v1/{kind.plural}",
                f"List the {kind.plural} that there are.",
                partial(self._list, kind),
                auth="none",
                tag=TAG,
                query=wire.DefinitionsQuery,
                answer=kind.page,
                is_tagged=True,
            ),
            make(
                "GET",
                one,
                f"Read the definition of a {kind.kind}.",
                partial(self._read, kind),
                answer=kind.managed,
                errors=(Forbidden, InvalidField, none),
            ),
            make(
                "PUT",
                one,
                f"Define a {kind.kind}, or change its definition.",
                partial(self._put, kind),
                body=kind.asked,
                answer=kind.managed,
                headers=MATCH,
                errors=(
                    Forbidden,
                    wire.AssetNotFound,
                    wire.DefinitionInUse,
                    wire.TooManyDefinitions,
                    *matching,
                ),
            ),
            make(
                "DELETE",
                one,
                f"Delete a {kind.kind} that nothing refers to.",
                partial(self._delete, kind),
                answer=wire.DefinitionDeleted,
                headers={"If-Match": "The ETag that you read, or *."},
                errors=(Forbidden, InvalidField, none, wire.DefinitionInUse, *matching),
            ),
        ]

    async def _list(self, kind: DefinitionKindService, request: HttpRequest) -> WireModel:
        query: wire.DefinitionsQuery = request.query
        after = "" if query.cursor is None else kind.cursor.read(query.cursor)
        found = await self._store.list_all(kind.kind, after=after, limit=query.limit)
        page = {
            kind.plural: [_shown(kind, each, kind.shown) for each in found],
            "next": kind.cursor.after_page(found, query.limit, lambda last: last.id),
        }
        return kind.page.model_validate(page)

    async def _read(self, kind: DefinitionKindService, request: HttpRequest) -> RawResponse:
        found = await self._store.read(kind.kind, _asset_id(request))
        if found is None:
            raise wire.RecipeNotFound if kind.kind == "recipe" else wire.AssetNotFound
        return _raw(kind, found)

    async def _put(self, kind: DefinitionKindService, request: HttpRequest) -> RawResponse:
        asked, asset_id = request.body, _asset_id(request)
        named = _named(asked)
        stored = await self._store.put(
            kind.kind,
            asset_id,
            _content(asked),
            match=_match(request),
            items={
                each: f"{field}.items.{each}"
                for field, bundle in named.items()
                for each in bundle.items
            },
            currencies={
                each: f"{field}.currencies.{each}"
                for field, bundle in named.items()
                for each in bundle.currencies
            },
            actor=request.who.user_id,
        )
        return _raw(kind, stored)

    async def _delete(
        self, kind: DefinitionKindService, request: HttpRequest
    ) -> wire.DefinitionDeleted:
        asset_id, match = _asset_id(request), _match(request)
        if match == "add":
            raise wire.MatchRequired(field="If-Match")
        await self._store.delete(kind.kind, asset_id, match=match, actor=request.who.user_id)
        return wire.DefinitionDeleted(id=asset_id)


def _asset_id(request: HttpRequest) -> str:
    return request.parse_path(wire.AssetPath).asset_id


def _match(request: HttpRequest) -> RevisionMatch:
    """Read which revision a change is made to; raise `MatchRequired`."""
    if request.headers.get("If-None-Match", "").strip() == "*":
        return "add"
    tag = request.headers.get("If-Match", "").strip()
    if tag == "*":
        return "any"
    found = _TAG.fullmatch(tag)
    if found is None:
        raise wire.MatchRequired(field="If-Match")
    return int(found[1])


def _named(asked: WireModel) -> dict[str, wire.Components]:
    """List the bundles in a definition, by field."""
    if isinstance(asked, wire.RecipeRequest):
        return {"takes": asked.takes, "gives": asked.gives}
    if isinstance(asked, wire.ItemRequest) and asked.use_bundle is not None:
        return {"use_bundle": asked.use_bundle}
    return {}


def _content(asked: WireModel) -> dict[str, Any]:
    """Write a definition as it is stored: limits that are not set are left out."""
    content = asked.model_dump()
    if "limits" in content:
        content["limits"] = {k: v for k, v in content["limits"].items() if v is not None}
    return content


def _raw(kind: DefinitionKindService, stored: StoredDefinition) -> RawResponse:
    shown = _shown(kind, stored, kind.managed)
    headers = {"ETag": f'"{stored.revision}"'}
    return RawResponse(orjson.dumps(shown.model_dump()), "application/json", headers=headers)


def _shown(
    kind: DefinitionKindService, stored: StoredDefinition, model: type[WireModel]
) -> WireModel:
    shown = {
        f"{kind.kind}_id": stored.id,
        **stored.content,
        "revision": stored.revision,
        "updated_at": wire_time(stored.updated_at),
    }
    return model.model_validate(shown)
