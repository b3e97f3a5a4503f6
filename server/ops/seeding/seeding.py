"""Seeding: what editors would define, then the players, in batches of one transaction each."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Final, NamedTuple

from persistence.accounts.audit_log import CONSOLE
from persistence.inventory.definitions import DefinitionKind
from persistence.packages.store import StoredPackage
from persistence.rls import Requester
from persistence.telemetry.schemas import NewTelemetrySchema
from protocol.envelope import WireModel
from protocol.errors import InvalidField
from protocol.ids import SessionId, UserId, new_id
from protocol.inventory import Components
from protocol.quests import QuestRequest
from server.domains.people.accounts.names import NUMBER_BITS, generate_names
from server.domains.people.accounts.service import draft_account
from server.domains.progression.packages import views
from server.domains.progression.telemetry.builtin import BUILT_IN
from server.ops.seeding import definitions, story
from server.ops.seeding.context import Progress, SeedContext
from server.ops.seeding.definitions import PackageFile
from server.ops.seeding.reader import DAYS_BACK_MAX, METHOD, NAME, SimulatedReader

EDITOR: Final = "storyteller"
BATCH: Final = 20  # players of one transaction
BATCHES_AT_ONCE: Final = 4
PLAYERS_MAX: Final = 99_999
SHOWN_EVERY: Final = 500


class SeedingResult(NamedTuple):
    """How many players a run made, and how many there were before."""

    made: int
    found: int


class NarrativeSeeding:
    """One run; `on_progress` is called with a sentence now and then."""

    def __init__(self, context: SeedContext, *, seed: int, on_progress: Progress) -> None:
        self._context = context
        self._seed = seed
        self._on_progress = on_progress
        self._made = self._found = self._shown = 0

    async def run(self, players: int) -> SeedingResult:
        """Have the story, and so many players; raise `InvalidField` for another seed."""
        editor = await self._have_editor()
        anchor = await self._publish_schemas(editor)
        await self._define(editor, anchor)
        await self._release(editor)
        await self._prepare_telemetry(editor, anchor)
        self._on_progress("The story is defined.")
        await self._play(players, anchor)
        return SeedingResult(self._made, self._found)

    # ------------------------------------------------------------------ what editors do

    async def _have_editor(self) -> UserId:
        """Find the account that everything is defined by, or make it."""
        context = self._context
        found = await context.accounts.find_user_by_username(EDITOR)
        if found is None:
            chance = Random(self._seed).getrandbits(NUMBER_BITS)  # noqa: S311 - a name, no secret
            person = draft_account(
                generate_names(chance)._replace(username=EDITOR), "The Storyteller"
            )
            session, _ = context.issuer.new_session(METHOD)
            await context.accounts.add_guest(person, session)
            found = person.user_id
        if "editor" not in await context.moderation.read_roles(found):
            await context.moderation.set_roles(found, ["editor"], actor=CONSOLE)
        return found

    async def _publish_schemas(self, editor: UserId) -> datetime:
        """Publish the save schemas; gives when that was first done, which all days count from."""
        schemas = self._context.schemas
        known = (await schemas.find_title(story.TITLE)).versions.get(1)
        wanted = definitions.save_schema(self._seed)
        if known is not None:
            said = known.stored.schema.get("$comment")
            if said != wanted.json_schema["$comment"]:
                raise InvalidField(
                    f"--seed: the story is here already, made by `{said}`; use the same seed, or "
                    "another database.",
                    field="seed",
                )
        else:
            await schemas.publish(story.TITLE, 1, wanted, actor=editor)
        if 1 not in (await schemas.find_title(story.LOG_TITLE)).versions:
            await schemas.publish(story.LOG_TITLE, 1, definitions.LOG_SCHEMA, actor=editor)
        return (await schemas.find_title(story.TITLE, version=1)).versions[1].stored.created_at

    async def _define(self, editor: UserId, anchor: datetime) -> None:
        for item_id, item in definitions.ITEMS.items():
            named = [] if item.use_bundle is None else [item.use_bundle]
            await self._define_asset("item", item_id, item, named, editor)
        for currency_id, currency in definitions.CURRENCIES.items():
            await self._define_asset("currency", currency_id, currency, (), editor)
        for recipe_id, recipe in definitions.RECIPES.items():
            await self._define_asset(
                "recipe", recipe_id, recipe, (recipe.takes, recipe.gives), editor
            )
        quests = self._context.quests
        events, seasons = await quests.events(story.TITLE)
        if not seasons:
            season = definitions.make_season(anchor)
            await quests.put_season(story.TITLE, definitions.SEASON, season, actor=editor)
        for name, event in definitions.make_timed_events(anchor).items():
            if name not in {each.name for each in events}:
                await quests.put_event(story.TITLE, name, event, actor=editor)
        await self._define_quests(story.TITLE, definitions.QUESTS, editor)
        await self._define_quests(story.LOG_TITLE, definitions.LOG_QUESTS, editor)

    async def _define_asset(
        self,
        kind: DefinitionKind,
        asset_id: str,
        wanted: WireModel,
        named: Iterable[Components],
        editor: UserId,
    ) -> None:
        """Define what is not defined; what somebody has changed since stays as it is."""
        if await self._context.definitions.read(kind, asset_id) is not None:
            return
        content = wanted.model_dump()
        if "limits" in content:
            content["limits"] = {k: v for k, v in content["limits"].items() if v is not None}
        bundles = list(named)
        await self._context.definitions.put(
            kind,
            asset_id,
            content,
            match="add",
            items={each: f"{asset_id}.items.{each}" for bundle in bundles for each in bundle.items},
            currencies={
                each: f"{asset_id}.currencies.{each}"
                for bundle in bundles
                for each in bundle.currencies
            },
            actor=editor,
        )

    async def _define_quests(
        self, title: str, wanted: Mapping[str, QuestRequest], editor: UserId
    ) -> None:
        there = {each.name for each in await self._context.quests.definitions(title)}
        for name, quest in wanted.items():
            if name not in there:
                await self._context.quests.put_quest(title, name, quest, actor=editor)

    async def _release(self, editor: UserId) -> None:
        """Upload and release what is not released yet, the lower versions first."""
        who = Requester(editor, SessionId(new_id()), ("editor",))
        for package in definitions.make_packages():
            versions = await self._context.package_store.list_versions(
                views.package_track(package.new)
            )
            stored = next((each for each in versions if each.version == package.new.version), None)
            if stored is None:
                stored = await self._context.packages.add(who, package.new)
            if stored.status == "draft":
                await self._upload(who, stored, package)
                await self._context.packages.release(stored.package_id, actor=editor)

    async def _upload(self, who: Requester, draft: StoredPackage, package: PackageFile) -> None:
        if draft.uploaded_at is None:
            chunks = _chunks(package.content)
            await self._context.packages.receive(who, draft.package_id, chunks)

    async def _prepare_telemetry(self, editor: UserId, anchor: datetime) -> None:
        """Know the types of events, and have a partition for each day."""
        context = self._context
        for each in BUILT_IN:
            await context.event_schemas.add_missing(
                NewTelemetrySchema(each.event_type, 1, each.schema, each.purpose, each.kept_days)
            )
        await context.event_types.reload()
        for schema in definitions.EVENT_TYPES:
            if schema.event_type not in context.event_types.types:
                await context.event_schemas.put(schema, actor=editor)
        await context.event_types.reload()
        days = [anchor.date() - timedelta(days=back) for back in range(DAYS_BACK_MAX + 2)]
        await context.event_days.create_partitions(days)

    # ------------------------------------------------------------------ what players do

    async def _play(self, players: int, anchor: datetime) -> None:
        """Have the players play, a batch to a transaction, some batches at once."""
        batches = iter(_batches(players))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(BATCHES_AT_ONCE):
                tasks.create_task(self._play_batches(batches, players, anchor))

    async def _play_batches(self, batches: Iterator[range], players: int, anchor: datetime) -> None:
        for numbers in batches:
            async with self._context.database.joined():
                made = await self._play_batch(numbers, anchor)
            self._made += made
            self._found += len(numbers) - made
            done = self._made + self._found
            if done >= self._shown + SHOWN_EVERY or done == players:
                self._shown = done
                self._on_progress(f"{done:,} of {players:,} players.")

    async def _play_batch(self, numbers: range, anchor: datetime) -> int:
        made = 0
        for number in numbers:
            # Players come with all that they did or not at all, so one that is there is complete.
            if await self._context.accounts.find_user_by_username(NAME.format(number)) is None:
                await SimulatedReader(
                    self._context, seed=self._seed, number=number, anchor=anchor
                ).play_all()
                made += 1
        return made


def _batches(players: int) -> Iterator[range]:
    for first in range(1, players + 1, BATCH):
        yield range(first, min(first + BATCH, players + 1))


async def _chunks(content: bytes, size: int = 256 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
