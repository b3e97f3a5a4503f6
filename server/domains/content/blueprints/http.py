"""`/v1/blueprints`: making, forking, publishing and deleting them; the market."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

from persistence.blueprints.store import BlueprintDraft, BlueprintStore, NamePatternMismatch
from persistence.rls import Requester
from protocol.blueprints import (
    Blueprint,
    BlueprintDeleted,
    BlueprintNotFound,
    BlueprintPath,
    Blueprints,
    BlueprintTaken,
    Fork,
    MarketQuery,
    NameOnMarket,
    NewBlueprint,
    TooManyBlueprints,
)
from protocol.errors import Forbidden, InvalidField
from protocol.history import PageQuery
from protocol.ids import BlueprintId
from server.domains.content.blueprints import rules, views
from server.domains.content.blueprints.model import NameRule
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG = "blueprints"
ONE = "/v1/blueprints/{blueprint_id}"

# Which of these files (bucket/path) are not stored.
Missing = Callable[[Collection[str]], Awaitable[Sequence[str]]]


class BlueprintRoutes:
    """The addresses of blueprints."""

    def __init__(self, *, store: BlueprintStore, missing: Missing, naming: NameRule) -> None:
        self._store = store
        self._naming = naming
        self._missing = missing

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [*self._to_read(), *self._to_make(), *self._to_change()]

    def _to_read(self) -> list[Endpoint]:
        get = partial(Endpoint, "GET", tag=TAG)
        return [
            get(
                "/v1/blueprints",
                "Search published blueprints.",
                self._market,
                query=MarketQuery,
                answer=Blueprints,
            ),
            get(
                "/v1/me/blueprints",
                "List your own blueprints, newest first.",
                self._own,
                auth="required",
                query=PageQuery,
                answer=Blueprints,
            ),
            get(
                ONE,
                "Read a published blueprint or one of your own.",
                self._read,
                answer=Blueprint,
                errors=(BlueprintNotFound, InvalidField),
            ),
        ]

    def _to_make(self) -> list[Endpoint]:
        post = partial(Endpoint, "POST", auth="required", answer=Blueprint, tag=TAG)
        refusals = (BlueprintTaken, TooManyBlueprints)
        return [
            post(
                "/v1/blueprints",
                "Create a blueprint; it cannot be changed later.",
                self._make,
                body=NewBlueprint,
                errors=refusals,
            ),
            post(
                f"{ONE}/fork",
                "Fork a blueprint that you may see.",
                self._fork,
                body=Fork,
                errors=(BlueprintNotFound, *refusals),
            ),
        ]

    def _to_change(self) -> list[Endpoint]:
        yours = (BlueprintNotFound, Forbidden, InvalidField)
        post = partial(Endpoint, "POST", auth="required", answer=Blueprint, tag=TAG)
        return [
            post(
                f"{ONE}/publish",
                "Publish your blueprint.",
                partial(self._show, is_public=True),
                errors=(*yours, NameOnMarket),
            ),
            post(
                f"{ONE}/unpublish",
                "Unpublish your blueprint.",
                partial(self._show, is_public=False),
                errors=yours,
            ),
            Endpoint(
                "DELETE",
                ONE,
                "Delete your blueprint; its forks remain.",
                self._delete,
                auth="required",
                answer=BlueprintDeleted,
                errors=yours,
                tag=TAG,
            ),
        ]

    async def _market(self, request: HttpRequest) -> Blueprints:
        query: MarketQuery = request.query
        found = await self._store.list_market(
            request.requester,
            sort=query.sort,
            words=rules.search_words(query.text),
            after=views.read_cursor(query.cursor, query.sort),
            limit=query.limit,
        )
        return views.page(found, query.sort)

    async def _own(self, request: HttpRequest) -> Blueprints:
        query: PageQuery = request.query
        after = views.read_cursor(query.cursor, "newest")
        found = await self._store.list_own(request.who.requester, after=after, limit=query.limit)
        return views.page(found, "newest")

    async def _read(self, request: HttpRequest) -> Blueprint:
        return views.blueprint(await self._store.read(request.requester, _id(request)))

    async def _make(self, request: HttpRequest) -> Blueprint:
        draft = rules.draft_blueprint(request.body, request.who.user_id, self._naming)
        return await self._keep(request.who.requester, draft, links=draft.assets.values())

    async def _fork(self, request: HttpRequest) -> Blueprint:
        who = request.who.requester
        parent = await self._store.read(who, _id(request))
        draft = rules.fork_blueprint(request.body, parent, who.user_id, self._naming)
        links = set(draft.assets.values()) - set(parent.assets.values())
        return await self._keep(who, draft, links=links)

    async def _keep(
        self, who: Requester, draft: BlueprintDraft, *, links: Collection[str]
    ) -> Blueprint:
        if missing := await self._missing(links):
            problem = f"assets: {missing[0]} is not stored; upload it first."
            raise InvalidField(problem, field="assets")
        try:
            added = await self._store.add(who, draft, at_most=rules.BLUEPRINTS_MAX)
        except NamePatternMismatch:
            raise rules.invalid_name_error(self._naming) from None
        return views.blueprint(added)

    async def _show(self, request: HttpRequest, *, is_public: bool) -> Blueprint:
        who = request.who.requester
        return views.blueprint(await self._store.set_public(who, _id(request), is_public=is_public))

    async def _delete(self, request: HttpRequest) -> BlueprintDeleted:
        blueprint_id = _id(request)
        await self._store.delete(request.who.requester, blueprint_id)
        return BlueprintDeleted(blueprint_id=blueprint_id)


def _id(request: HttpRequest) -> BlueprintId:
    return request.parse_path(BlueprintPath).blueprint_id
