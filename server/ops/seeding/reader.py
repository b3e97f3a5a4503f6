"""One simulated player: chooses at random, and does everything that a client would do about it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Any, Final
from uuid import UUID

from persistence.rls import Requester
from persistence.saves.store import parse_state
from protocol.command_saves import BeginLog, LogCommands
from protocol.inventory import CollectRequest, Components, CraftRequest, NotEnough
from protocol.quests import QuestNotFound, QuestNotPossible, StepNotDone
from protocol.saves import NewSave, Resolve, SaveConflict, SaveWrite
from server.domains.people.accounts.names import NUMBER_BITS, generate_names
from server.domains.people.accounts.service import draft_account
from server.domains.progression.command_saves import simulation
from server.gateway.session.identity import Identity
from server.ops.seeding import story
from server.ops.seeding.context import SeedContext, log_seed
from server.ops.seeding.story import Option, QuestMove

METHOD: Final = "dev"
DAYS_BACK_MAX: Final = 27  # so that the reports' last 30 days have everything
NAME: Final = "reader_{:05d}"
DEVICES: Final = ("phone", "tablet")
# Shares of the readers, or of their scenes.
LEAVES_THE_NIGHT: Final = 0.1
PLAYS_ON_TWO: Final = 0.3
WRITES_ON_BOTH: Final = 0.25
CONTRADICTS: Final = 0.2
DECIDES: Final = 0.7
CLAIMS: Final = 0.9
PAUSES: Final = 0.45
BUYS_OIL: Final = 0.5

_NOT_NOW: Final = (QuestNotFound, QuestNotPossible, StepNotDone)


class SimulatedReader:
    """The so many-th player of a seed; the same one each time."""

    def __init__(self, context: SeedContext, *, seed: int, number: int, anchor: datetime) -> None:
        self.name = NAME.format(number)
        self._context = context
        self._chance = Random(f"{seed} {number}")  # noqa: S311 - a story, no secrets
        self._anchor = anchor
        self._at = anchor - timedelta(days=self._chance.uniform(1, DAYS_BACK_MAX))
        self._played_s = 0.0
        self._opened_s = 0.0  # what had been played when the session began
        self._chapter_s = 0.0
        self._keys = 0
        self._events: list[dict[str, Any]] = []
        self._session = ""
        self._has_two = self._chance.random() < PLAYS_ON_TWO
        self._slot_id = ""
        self._revision = 1
        self._state: dict[str, Any] = story.first_state()

    async def play_all(self) -> None:
        """Sign up, read the night, then the winter, and report it all."""
        await self._sign_up()
        self._open_session()
        if await self._read_the_night():
            await self._read_the_winter()
        self._close_session()
        answer = await self._context.telemetry.ingest(
            self._who.user_id, self._events, is_private=False
        )
        # Where a decision is needed first, nobody has made one, so nothing is stored of them.
        wrong = [each for each in answer.refused if each.code != "no_consent"]
        if wrong or answer.duplicates:
            raise RuntimeError(f"{self.name}: {wrong or answer.duplicates}")

    async def _sign_up(self) -> None:
        chance = self._chance.getrandbits(NUMBER_BITS)
        person = draft_account(generate_names(chance)._replace(username=self.name), None)
        session, _ = self._context.issuer.new_session(METHOD)
        await self._context.accounts.add_guest(person, session)
        self._who = Identity(
            person.user_id, person.player_id, session.session_id, person.display_name, 0.0
        )

    @property
    def _requester(self) -> Requester:
        return self._who.requester

    def _id(self) -> str:
        """Make the id of a mutation."""
        return str(UUID(int=self._chance.getrandbits(128), version=4))

    def _key(self, of: str) -> str:
        self._keys += 1
        return f"{of}-{self._keys}"

    # ------------------------------------------------------------------ the night, a log

    async def _read_the_night(self) -> bool:
        """Play The Lamplighter; gives whether this reader goes on to the winter."""
        new = NewSave(title=story.LOG_TITLE, name="The Lamplighter", mutation_id=self._id())
        slot = await self._context.saves.create(self._requester, new)
        log_seed.set(sha256(self._id().encode()).hexdigest())
        log = await self._context.logs.begin(self._who, slot.slot_id, BeginLog())
        moves = self._moves_of_a_night()
        is_cut = self._chance.random() < LEAVES_THE_NIGHT
        if is_cut:
            moves = moves[: self._chance.randint(1, len(moves))]
        asked = LogCommands(moves=moves, at_index=log.next_index, mutation_id=self._id())
        played = await self._context.logs.command(self._who, slot.slot_id, asked)
        for name in ("accept", "complete"):
            await self._quest(slot.slot_id, QuestMove("keepers_confidence", name))
        self._pass(minutes=4 + 2 * len(moves))
        ending = next((e.payload["ending"] for e in played.events if e.type == "story_ended"), None)
        if ending is not None:
            self._report("choice", choice="the_night", option=ending, tone="prologue")
        return ending is not None

    def _moves_of_a_night(self) -> list[dict[str, Any]]:
        """Choose by chance what the rules allow, until the story is over."""
        ruleset = self._context.services.rulesets[story.LOG_TITLE]
        origin = simulation.read_origin(ruleset, self._who.player_id, {}, log_seed.get())
        fold, _ = simulation.begin_log(origin)
        moves: list[dict[str, Any]] = []
        while not fold.table.completed:
            legal = ruleset.view(fold.state, simulation.SEAT)["legal_moves"]
            move = self._chance.choice(legal)
            moves.append(move)
            simulation.apply_move(fold, move, len(moves))
        return moves

    # ------------------------------------------------------------------ the winter, states

    async def _read_the_winter(self) -> None:
        new = NewSave(
            title=story.TITLE,
            name="The Long Winter",
            state=self._state,
            device=DEVICES[0],
            play_time_s=int(self._played_s),
            mutation_id=self._id(),
        )
        made = await self._context.saves.create(self._requester, new)
        self._slot_id = made.slot_id
        scene = story.START
        while scene not in story.ENDINGS:
            present = story.SCENES[scene]
            if present.step is not None:
                self._report_step(present.step, scene)
            if self._chance.random() < present.leaves or self._at > self._anchor:
                return
            scene = await self._choose(scene)
        self._report("story_ended", ending=scene, play_time_s=int(self._played_s))
        self._report_step(story.LAST_STEP, scene)

    async def _choose(self, scene: str) -> str:
        present = story.SCENES[scene]
        options = present.options
        weights = [option.weight for option in options.values()]
        (name,) = self._chance.choices([*options], weights)
        option = options[name]
        began_s = self._played_s
        chapter = next(each for each in story.CHAPTERS if each.name == present.chapter)
        scenes = sum(each.chapter == present.chapter for each in story.SCENES.values())
        self._pass(minutes=self._chance.lognormvariate(0, 0.4) * chapter.minutes / scenes)
        self._chapter_s += self._played_s - began_s
        self._report("choice", choice=scene, option=name, tone=option.tone)
        await self._collect(option)
        await self._save(scene, name, option)
        for move in option.quests:
            await self._quest(self._slot_id, move)
        await self._trade()
        following = story.SCENES.get(option.to)
        if following is None or following.chapter != present.chapter:
            self._finish_chapter(chapter.name)
        return option.to

    def _finish_chapter(self, chapter: str) -> None:
        order = story.chapter_number(chapter)
        self._report("chapter", chapter=chapter, seconds=round(self._chapter_s, 1), order=order)
        self._chapter_s = 0.0
        if self._chance.random() < PAUSES:
            self._close_session()
            self._at += timedelta(hours=self._chance.uniform(4, 60))
            self._open_session()

    async def _save(self, scene: str, choice: str, option: Option) -> None:
        """Write the state, now and then on two devices that do not know of each other."""
        before, base = self._state, self._revision
        written = await self._write(self._after(before, scene, choice, option), base, DEVICES[0])
        if self._has_two and self._chance.random() < WRITES_ON_BOTH:
            await self._write_on_another(before, base, scene, choice)
        else:
            assert written

    def _after(
        self, before: Mapping[str, Any], scene: str, choice: str, option: Option
    ) -> dict[str, Any]:
        following = story.SCENES.get(option.to)
        chapter = before["chapter"]
        if following is not None:
            chapter = max(chapter, story.chapter_number(following.chapter))
        counters = dict(before["counters"])
        for counter, by in option.counters.items():
            counters[counter] += by
        return {
            **before,
            "chapter": chapter,
            "scene": option.to,
            "flags": {**before["flags"], **dict.fromkeys(option.flags, True)},
            "counters": counters,
            "choices": {**before["choices"], scene: choice},
            "lore": [*dict.fromkeys((*before["lore"], *option.lore))],
            "ending": option.to if following is None else "",
        }

    async def _write_on_another(
        self, before: Mapping[str, Any], base: int, scene: str, choice: str
    ) -> None:
        """Write what another device did offline: it merges, or contradicts the first one."""
        counters = {**before["counters"], "wit": before["counters"]["wit"] + 1}
        state = {**before, "counters": counters, "lore": [*before["lore"], f"gulls_of_{scene}"]}
        others = [each for each in story.SCENES[scene].options if each != choice]
        if self._chance.random() < CONTRADICTS:
            state["choices"] = {**before["choices"], scene: self._chance.choice(others)}
        await self._write(state, base, DEVICES[1])

    async def _write(self, state: dict[str, Any], base: int, device: str) -> bool:
        asked = SaveWrite(
            state=state, mutation_id=self._id(), device=device, play_time_s=int(self._played_s)
        )
        try:
            answer = await self._context.saves.write(self._requester, self._slot_id, base, asked)
        except SaveConflict as conflict:
            await self._decide(conflict)
            return False
        self._revision = answer.current
        self._state = state if answer.state is None else answer.state
        return True

    async def _decide(self, conflict: SaveConflict) -> None:
        """Decide a conflict for what the slot has, or leave it open."""
        details = conflict.details
        assert details is not None
        if self._chance.random() > DECIDES:
            return
        asked = Resolve(
            conflict_id=str(details["conflict_id"]),
            mutation_id=self._id(),
            choose="current",
            device=DEVICES[0],
        )
        answer = await self._context.saves.resolve(
            self._requester, self._slot_id, self._revision, asked
        )
        assert answer.state is not None
        self._revision, self._state = answer.current, answer.state

    # ------------------------------------------------------------------ quests and things

    async def _quest(self, slot_id: str, move: QuestMove) -> None:
        """Do something about a quest, if it is possible now; most claim what they completed."""
        quests, who = self._context.quests, self._requester
        try:
            match move.act:
                case "accept":
                    await quests.accept(who, slot_id, move.quest)
                case "report":
                    await quests.advance(who, slot_id, move.quest, move.step)
                case _:
                    await quests.complete(who, slot_id, move.quest)
        except _NOT_NOW:
            return
        if move.act == "complete" and self._chance.random() < CLAIMS:
            await quests.claim(who, slot_id, move.quest)
            if slot_id == self._slot_id:  # the reward may have changed the state
                slot = await self._context.saves.read(who, slot_id)
                assert slot.narrative_state is not None
                self._revision = slot.progression_version
                self._state = parse_state(slot.narrative_state)

    async def _collect(self, option: Option) -> None:
        economy, user_id = self._context.economy, self._who.user_id
        if option.found:
            bundle = Components(items=dict(option.found))
            asked = CollectRequest(key=self._key("found"), bundle=bundle, reason="found")
            await economy.collect(user_id, self._slot_id, asked)
        if option.recipe is not None:
            await self._craft(option.recipe)

    async def _trade(self) -> None:
        if self._state["flags"].get("winter_over") and self._chance.random() < BUYS_OIL:
            await self._craft("oil_from_the_merchant")

    async def _craft(self, recipe: str) -> None:
        asked = CraftRequest(key=self._key(recipe), recipe_id=recipe)
        try:
            await self._context.economy.craft(self._who.user_id, self._slot_id, asked)
        except NotEnough:
            return

    # ------------------------------------------------------------------ telemetry

    def _pass(self, *, minutes: float) -> None:
        self._at += timedelta(minutes=minutes)
        self._played_s += 60 * minutes

    def _open_session(self) -> None:
        self._session, self._opened_s = f"s-{self._id()[:8]}", self._played_s
        self._report("session", state="start")

    def _close_session(self) -> None:
        self._report("session", state="end", seconds=round(self._played_s - self._opened_s, 1))

    def _report_step(self, step: str, scene: str) -> None:
        order = story.step_order(scene)
        self._report("quest_step", quest=story.MAIN_QUEST, step=step, order=order)

    def _report(self, event_type: str, **payload: object) -> None:
        self._at += timedelta(milliseconds=self._chance.randint(5, 4000))
        # Nobody has played in the future: what would be later happened just before.
        at = min(self._at, self._anchor)
        event = {
            "event_id": _event_id(at, len(self._events), self._chance),
            "event_type": event_type,
            "payload": payload,
            "session": self._session,
        }
        self._events.append(event)


def _event_id(at: datetime, place: int, chance: Random) -> str:
    """Make a UUIDv7 of a time; `place` keeps those of one millisecond in order."""
    ms = int(at.timestamp() * 1000)
    value = ms << 80 | 0x7 << 76 | (place & 0xFFF) << 64 | 0b10 << 62 | chance.getrandbits(62)
    return str(UUID(int=value))
