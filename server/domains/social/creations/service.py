"""What people do with creations."""

from collections.abc import Callable
from datetime import date

from persistence.creations.store import (
    NEWEST,
    CreationPlace,
    CreationStore,
    RemixTerms,
    file_stem,
    thumbnail_stem,
)
from persistence.rls import Requester
from protocol import creations as wire
from protocol.files import Upload
from protocol.ids import CreationId
from server.core.events import CreationListed
from server.domains.interfaces import FileUploads
from server.domains.social.creations import rules, views

FLUSHED_AT_ONCE = 10_000


class CreationService:
    """Creations; `publish_event` announces to this node what the public lists have to know."""

    def __init__(
        self,
        store: CreationStore,
        uploads: FileUploads,
        publish_event: Callable[[CreationListed], None],
    ) -> None:
        self.published_total = 0
        self.views_total = 0
        self._store = store
        self._uploads = uploads
        self._publish_event = publish_event

    async def add(self, who: Requester, new: wire.NewCreation) -> wire.Creation:
        """Make a draft."""
        draft = rules.draft_creation(new, who.user_id)
        return views.creation(await self._store.add(who, draft, at_most=wire.CREATIONS_MAX))

    async def remix(
        self, who: Requester, creation_id: CreationId, remix: wire.Remix
    ) -> wire.Creation:
        """Make a draft of a creation that allows it."""
        original = dict(await self._store.read(who, creation_id))
        is_own = original["user_id"] == who.user_id
        draft = rules.draft_remix(remix, original, who.user_id, is_own=is_own)
        return views.creation(await self._store.add(who, draft, at_most=wire.CREATIONS_MAX))

    async def read(self, who: Requester | None, creation_id: CreationId) -> wire.Creation:
        """Read a creation that may be seen."""
        return views.creation(await self._store.read(who, creation_id))

    async def list_own(self, who: Requester, query: wire.OwnCreationsQuery) -> wire.OwnCreations:
        """List one's own creations."""
        after = NEWEST if query.cursor is None else views.CURSOR.read(query.cursor)
        rows = await self._store.list_own(who, status=query.status, after=after, limit=query.limit)
        return wire.OwnCreations(
            creations=[views.own_card(row) for row in rows],
            next=views.CURSOR.after_page(
                rows, query.limit, lambda row: CreationPlace(row["created_at"], row["creation_id"])
            ),
        )

    async def change(
        self, who: Requester, creation_id: CreationId, changes: wire.CreationChanges
    ) -> wire.Creation:
        """Change one's own creation, or a draft that one edits."""
        terms = await self._terms_of_original(who, creation_id)
        record = await self._store.change(
            who, creation_id, lambda state: rules.change_creation(state, changes, terms)
        )
        if record["status"] == "published":
            self._announce(creation_id, who, is_new=False)
        return views.creation(record)

    async def publish(self, who: Requester, creation_id: CreationId) -> wire.Creation:
        """Publish one's own creation for everybody, as soon as its image is processed."""
        record, is_new = await self._store.publish(who, creation_id, rules.require_publishable)
        self.published_total += is_new
        if record["status"] == "published":
            self._announce(creation_id, who, is_new=is_new)
        return views.creation(record)

    async def archive(self, who: Requester, creation_id: CreationId) -> wire.Creation:
        """Take one's own creation off every list."""
        record = await self._store.archive(who, creation_id)
        self._announce(creation_id, who, is_new=False)
        return views.creation(record)

    async def delete(self, who: Requester, creation_id: CreationId) -> wire.CreationDeleted:
        """Delete one's own creation and its files."""
        if await self._store.delete(who, creation_id) == "published":
            self._announce(creation_id, who, is_new=False)
        return wire.CreationDeleted(creation_id=creation_id)

    async def announce_upload(
        self, who: Requester, creation_id: CreationId, new: wire.CreationUpload
    ) -> Upload:
        """Allow the upload of a file or a thumbnail."""
        state = await self._store.read_own(who, creation_id)
        rules.check_content_type(state.type, new.content_type, kind=new.kind)
        if new.kind == "file":
            bucket, stem = "creations", file_stem(who.user_id, creation_id, state.type)
        else:
            bucket, stem = "thumbnails", thumbnail_stem(who.user_id, creation_id)
        upload = await self._uploads.announce_at(
            who, bucket, stem, size=new.size, content_type=new.content_type
        )
        if new.kind == "file":
            await self._store.begin_processing(who, creation_id)
        return upload

    async def attach_files(self, who: Requester, creation_id: CreationId) -> wire.Creation:
        """Link what was uploaded."""
        record = await self._store.attach_files(who, creation_id)
        if record["status"] == "published":
            self._announce(creation_id, who, is_new=False)
        return views.creation(record)

    async def count_view(
        self, who: Requester | None, network: str, creation_id: CreationId
    ) -> wire.ViewCounted:
        """Count a view by an account, or else by a network."""
        if who is None:
            counted = await self._store.count_anonymous_view(network, creation_id)
        else:
            counted = await self._store.count_view(who, creation_id)
        return wire.ViewCounted(is_counted=counted)

    async def analytics(
        self,
        who: Requester,
        creation_id: CreationId | None,
        query: wire.AnalyticsQuery,
        *,
        today: date,
    ) -> wire.Analytics:
        """Count the days of one's own creation, or of all."""
        first, last = rules.analytics_range(query, today)
        rows = await self._store.list_days(who, creation_id, first=first, last=last)
        days = [wire.AnalyticsDay(**{**row, "day": row["day"].isoformat()}) for row in rows]
        return wire.Analytics(days=days)

    async def flush_views(self) -> None:
        """Add the views that were not counted yet to the totals."""
        while True:
            flushed = await self._store.flush_views(limit=FLUSHED_AT_ONCE)
            self.views_total += flushed
            if flushed < FLUSHED_AT_ONCE:
                return

    async def _terms_of_original(
        self, who: Requester, creation_id: CreationId
    ) -> RemixTerms | None:
        """Read what the original allows, if it is another person's; it never changes."""
        state = await self._store.read_editable(who, creation_id)
        if state.remix_of is None:
            return None
        terms = await self._store.read_terms(state.remix_of)
        owner = (await self._store.read(who, creation_id))["user_id"]
        return None if terms is None or terms.user_id == owner else terms

    def _announce(self, creation_id: CreationId, who: Requester, *, is_new: bool) -> None:
        self._publish_event(CreationListed(creation_id, who.user_id, is_new))
