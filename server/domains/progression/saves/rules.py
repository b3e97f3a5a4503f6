"""How writes of several devices become one state: three-way merge by declared rules. Pure.

A write is made from a revision, its *base*. If that is the current one, the write becomes current.
Otherwise somebody else wrote meanwhile, and there are three states: the common ancestor, the
current state ("ours") and the write ("theirs"). Field by field:

=====================================  =============================================================
only one side changed it               that change is taken
both changed it alike                  nothing is to be decided, unless it is a counter (`sum`)
both changed it                        the rule that the title's schema declares for it decides
=====================================  =============================================================

Objects without a rule are merged key by key. The rules:

- `max`, `min`: of the two numbers.
- `sum`: both differences are added, as for counters: ours + (theirs - base).
- `union`: the list is a set; what either added is in it, what either removed is not.
- `newest`: what the server received last. Clocks of clients decide nothing.
- `server`: clients never write it; the current value stays.
- `ask`: a conflict. So is everything without a rule, unless the schema says `otherwise`.

A conflict overwrites nothing: the current state stays, and the write is kept as a *branch*, which
later writes of the same device continue, until it can be merged or somebody resolves it. Each
decision is made here, and carried out by `service.py`, or in memory by the tests' simulator.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson

from protocol.limits import INT_MAX
from protocol.saves import MergeRule, Outcome, Reason
from server.domains.progression.saves.states import MODS, State

Path: TypeAlias = tuple[str, ...]


class _Missing:
    """Stands for a field that is not there."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
ANY_KEY: Final = "*"
_CONTAINERS: Final = frozenset((dict, list))


# ------------------------------------------------------------------ which rule a field has


@dataclass(slots=True)
class RuleNode:
    """The rules below a field. A rule decides about all that is below its field."""

    rule: MergeRule | None = None
    children: dict[str, "RuleNode"] = field(default_factory=dict)
    # Whether there is a counter here or below: if two devices count to the same number, it is the
    # sum of what both counted all the same.
    has_sum: bool = False
    # Whether there is a field of the server here or below.
    has_server: bool = False

    def child(self, key: str) -> "RuleNode":
        """Find the rules of a key; its own go before those of any key."""
        return self.children.get(key) or self.children.get(ANY_KEY) or _NO_RULES


_NO_RULES: Final = RuleNode()


@dataclass(frozen=True, slots=True)
class MergeRules:
    """The rules of a title's saves."""

    root: RuleNode = field(default_factory=RuleNode)
    otherwise: Literal["ask", "newest"] = "ask"


def merge_rules(
    fields: Mapping[str, MergeRule], otherwise: Literal["ask", "newest"] = "ask"
) -> MergeRules:
    """Read the rules of a schema: JSON Pointer, with `*` for any key, to rule."""
    root = RuleNode()
    for pointer, rule in fields.items():
        node = root
        for key in parse_pointer(pointer):
            node.has_sum |= rule == "sum"
            node.has_server |= rule == "server"
            node = node.children.setdefault(key, RuleNode())
        node.has_sum |= rule == "sum"
        node.has_server |= rule == "server"
        node.rule = rule
    return MergeRules(root, otherwise)


def parse_pointer(pointer: str) -> Path:
    """Take a JSON Pointer apart (RFC 6901)."""
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:])


def format_pointer(path: Path) -> str:
    """Write a JSON Pointer."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path)


# ------------------------------------------------------------------ merging


class MergeResult(NamedTuple):
    """What a merge comes to: where `paths` are to be decided, the state is as ours."""

    state: State
    paths: list[str]


def merge(
    base: State | None,
    ours: State,
    theirs: State,
    rules: MergeRules,
    *,
    newest: Literal["ours", "theirs"] = "theirs",
) -> MergeResult:
    """Merge the changes of two sides; None is a base that is not known any more.

    Without a base, everything that differs counts as changed by both. `newest` is the side that the
    server received last.
    """
    merge = _Merge(rules.otherwise, newest)
    before: State = {} if base is None else base
    state = merge.by_key(_no_mods(before), _no_mods(ours), _no_mods(theirs), rules.root, ())
    # What is in the data of mods is their own business: of two changes the newer one is kept.
    sides = _get(before, MODS), _get(ours, MODS), _get(theirs, MODS)
    mods = _Merge("newest", newest).merged(*sides, _EACH_MOD, (MODS,))
    if mods is not MISSING:
        state[MODS] = mods
    return MergeResult(state, merge.paths)


def _no_mods(state: State) -> State:
    return {key: value for key, value in state.items() if key != MODS} if MODS in state else state


_EACH_MOD: Final = RuleNode(children={ANY_KEY: RuleNode("newest")})


class _Merge:
    """One merge: collects what it cannot decide."""

    def __init__(
        self, otherwise: Literal["ask", "newest"], newest: Literal["ours", "theirs"]
    ) -> None:
        self.paths: list[str] = []
        self._otherwise = otherwise
        self._is_ours_newest = newest == "ours"

    def merged(self, base: Any, ours: Any, theirs: Any, node: RuleNode, path: Path) -> Any:
        return ours if json_equal(base, theirs) else self._changed(base, ours, theirs, node, path)

    def _changed(self, base: Any, ours: Any, theirs: Any, node: RuleNode, path: Path) -> Any:
        """Merge a field that they changed."""
        if node.rule == "server" or (not node.has_sum and json_equal(ours, theirs)):
            return ours
        if json_equal(base, ours):
            return theirs
        if node.rule is not None:
            return self._by_rule(node.rule, base, ours, theirs, path)
        if type(ours) is dict and type(theirs) is dict:
            before = base if type(base) is dict else {}
            return self.by_key(before, ours, theirs, node, path)
        return self._by_rule(self._otherwise, base, ours, theirs, path)

    def by_key(
        self, base: State, ours: State, theirs: State, node: RuleNode, path: Path
    ) -> dict[str, Any]:
        """Merge objects: what they did not change costs them a look-up, and us nothing."""
        result = dict(ours)
        any_key = node.children.get(ANY_KEY, _NO_RULES)
        for key in _changed_keys(base, theirs):
            left = ours.get(key, MISSING)
            value = self._changed(
                base.get(key, MISSING),
                left,
                theirs.get(key, MISSING),
                node.children.get(key, any_key),
                (*path, key),
            )
            if value is MISSING:
                result.pop(key, None)
            elif value is not left:
                result[key] = value
        return result

    def _by_rule(self, rule: MergeRule, base: Any, ours: Any, theirs: Any, path: Path) -> Any:
        if rule == "newest":
            return ours if self._is_ours_newest else theirs
        decided = _decided(rule, base, ours, theirs)
        if decided is not UNDECIDED:
            return decided
        self.paths.append(format_pointer(path))
        return ours


def _changed_keys(base: State, theirs: State) -> list[str]:
    """List the fields that one object has otherwise than another, in a steady order."""
    changed, alike = [], []
    for key, right in theirs.items():
        origin = base.get(key, MISSING)
        kind = type(right)
        if kind is not type(origin):
            if not json_equal(origin, right):
                changed.append(key)
        elif right != origin:
            changed.append(key)
        elif kind in _CONTAINERS:
            alike.append(key)
    # Those that Python takes for equal hardly ever differ as JSON: they are compared all at once.
    if not json_equal([base[key] for key in alike], [theirs[key] for key in alike]):
        changed = [key for key in theirs if not json_equal(base.get(key, MISSING), theirs[key])]
    changed.extend(base.keys() - theirs.keys())
    return changed


UNDECIDED: Final = _Missing()


def _decided(rule: MergeRule, base: Any, ours: Any, theirs: Any) -> Any:
    """Apply a rule to what both sides changed; UNDECIDED where it does not fit the values."""
    if rule in ("max", "min"):
        if ours is MISSING or theirs is MISSING:  # one removed what the other changed
            return theirs if ours is MISSING else ours
        if _is_number(ours) and _is_number(theirs):
            return max(ours, theirs) if rule == "max" else min(ours, theirs)
    elif rule == "sum":
        parts = [0 if each is MISSING else each for each in (base, ours, theirs)]
        if all(map(_is_number, parts)):
            total = parts[1] + parts[2] - parts[0]
            if abs(total) <= INT_MAX and isfinite(total):
                return total
    elif rule == "union":
        lists = [[] if each is MISSING else each for each in (base, ours, theirs)]
        if all(isinstance(each, list) for each in lists):
            return _union(*lists)
    return UNDECIDED


def _union(base: list[Any], ours: list[Any], theirs: list[Any]) -> list[Any]:
    """Merge lists as sets, in an order that depends on nothing but what is in them."""
    start = _common_start(base, ours, theirs)
    before, left, right = (_as_set(each[start:]) for each in (base, ours, theirs))
    common = _as_set(base[:start])  # so that most are looked at once
    texts = common.texts | (
        (left.texts | right.texts) - (before.texts - (left.texts & right.texts))
    )
    removed = before.others.keys() - (left.others.keys() & right.others.keys())
    others = common.others | left.others | right.others
    kept = others.keys() - (removed - common.others.keys())
    empty = [""] if "" in texts else []
    return [
        *empty,
        *(others[key] for key in sorted(kept)),
        *sorted(texts.difference(empty)),
    ]


def _common_start(base: list[Any], ours: list[Any], theirs: list[Any]) -> int:
    """Count the items with which all three lists begin."""
    length = min(map(len, (base, ours, theirs)))
    if base[:length] != ours[:length] or base[:length] != theirs[:length]:
        pairs = enumerate(zip(base, ours, theirs))  # noqa: B905 - the shortest ends it
        length = next((at for at, (one, two, three) in pairs if not one == two == three), length)
    start = base[:length]
    return length if json_equal(start, ours[:length]) and json_equal(start, theirs[:length]) else 0


class _Set(NamedTuple):
    """The items of a list: texts, and everything else by its JSON."""

    texts: set[str]
    others: dict[bytes, Any]


def _as_set(items: list[Any]) -> _Set:
    types = set(map(type, items))
    if str not in types:
        return _Set(set(), dict(zip(map(_key_of, items), items, strict=True)))
    if len(types) == 1:
        return _Set(set(items), {})
    others = [item for item in items if type(item) is not str]
    return _Set(
        {item for item in items if type(item) is str},
        dict(zip(map(_key_of, others), others, strict=True)),
    )


_key_of = partial(orjson.dumps, option=orjson.OPT_SORT_KEYS)


def json_equal(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1, though Python says so; 1.0 is 1."""
    if one is other:
        return True
    if type(one) in _CONTAINERS:
        # Most have their keys in one order, and then need not be sorted.
        return bool(one == other) and (
            orjson.dumps(one) == orjson.dumps(other) or _key_of(one) == _key_of(other)
        )
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _get(value: Any, key: str) -> Any:
    return value.get(key, MISSING) if isinstance(value, dict) else MISSING


def _all_keys(*values: Any) -> Iterable[str]:
    """Go through the keys of all objects, each once, in a steady order."""
    return dict.fromkeys(key for value in values if isinstance(value, dict) for key in value)


# ------------------------------------------------------------------ fields of the server


class ServerFieldsResult(NamedTuple):
    """A state with the server's fields of another one; `changed` are those that differed."""

    state: State
    changed: list[str]


def with_server_fields(of: State, state: State, rules: MergeRules) -> ServerFieldsResult:
    """Give a state with the server's fields of another one, and say which a client had changed.

    A field that the client left out is not counted: it may not know it.
    """
    changed: list[str] = []
    result = _transplanted(of, state, rules.root, (), changed)
    return ServerFieldsResult(result if isinstance(result, dict) else state, changed)


def _transplanted(source: Any, target: Any, node: RuleNode, path: Path, changed: list[str]) -> Any:
    if node.rule == "server":
        if json_equal(source, target):
            return target
        if target is not MISSING:
            changed.append(format_pointer(path))
        return source
    if node.rule is not None or not node.has_server:
        return target
    keys = node.children.keys() - {ANY_KEY}
    if ANY_KEY in node.children:
        keys |= set(_all_keys(source, target))
    result: State | None = None
    for key in sorted(keys):
        before = _get(target, key)
        after = _transplanted(_get(source, key), before, node.child(key), (*path, key), changed)
        if after is before:
            continue
        if result is None:
            result = dict(target) if isinstance(target, dict) else {}
        if after is MISSING:
            result.pop(key, None)
        else:
            result[key] = after
    return target if result is None else result


def with_fields(of: State, state: State, pointers: Iterable[str]) -> State:
    """Give a state with some fields of another one; a field that is missing there is removed."""
    result = orjson.loads(orjson.dumps(state))
    for pointer in pointers:
        *above, last = parse_pointer(pointer)
        value: Any = of
        for key in (*above, last):
            value = _get(value, key)
        target = result
        for key in above:
            if not isinstance(target.get(key), dict):
                if value is MISSING:
                    break
                target[key] = {}
            target = target[key]
        else:
            if value is MISSING:
                target.pop(last, None)
            else:
                target[last] = value
    return result  # type: ignore[no-any-return]  # a copy of an object


# ------------------------------------------------------------------ the history of a slot

Parents: TypeAlias = Mapping[int, Sequence[int]]


def merge_base(parents: Parents, one: int, other: int) -> int | None:
    """Find the newest revision that both come from; a revision comes from itself, too.

    Revisions are numbered as they are written, so every parent is older than its child.
    """
    common = list_ancestors(parents, one) & list_ancestors(parents, other)
    return max(common, default=None)


def list_ancestors(parents: Parents, revision: int) -> set[int]:
    """Collect all that a revision comes from, with itself, as far as it is known."""
    found: set[int] = set()
    waiting = [revision]
    while waiting:
        each = waiting.pop()
        if each in parents and each not in found:
            found.add(each)
            waiting.extend(parents[each])
    return found


# ------------------------------------------------------------------ deciding about a write


class RevisionContent(NamedTuple):
    """What a revision holds, all at one schema version."""

    state: State
    schema_version: int = 1
    device: str = ""
    play_time_s: int = 0
    is_modded: bool = False


class OpenBranch(NamedTuple):
    """A conflict that is open."""

    conflict_id: str
    base: int | None
    branch: int


class NewRevision(NamedTuple):
    """A revision to be stored."""

    revision: int
    parents: tuple[int, ...]
    reason: Reason
    content: RevisionContent
    source: int | None = None


@dataclass(frozen=True, slots=True)
class WriteDecision:
    """What a write comes to.

    `own` is the client's write; `head` the current state afterwards, if that changes. `extends` is
    the conflict whose branch goes on with the write; `closes` the one that is resolved by `head`.
    """

    outcome: Outcome
    own: NewRevision
    head: NewRevision | None
    proposal: State
    paths: list[str] = field(default_factory=list)
    base: int | None = None
    extends: str | None = None
    closes: str | None = None

    @property
    def revisions(self) -> list[NewRevision]:
        """List what is to be stored, in order."""
        others = [self.head] if self.head is not None and self.head is not self.own else []
        return [self.own, *others]


def decide_on_top(
    last_revision: int, base: int, theirs: RevisionContent, reason: Reason = "write"
) -> WriteDecision:
    """Decide about a write that was made from the current revision: it becomes current."""
    own = NewRevision(last_revision + 1, (base,), reason, theirs)
    return WriteDecision("written", own, own, theirs.state)


def decide_write(
    *,
    last_revision: int,
    current: int,
    ours: RevisionContent,
    base: int,
    ancestor: int | None,
    ancestor_state: State | None,
    theirs: RevisionContent,
    rules: MergeRules,
    open_branches: Sequence[OpenBranch] = (),
    is_acceptable: Any = None,
    reason: Reason = "write",
) -> WriteDecision:
    """Decide what becomes of a write that was made from `base`.

    `ancestor` is the newest revision that the base and the current one come from, and
    `ancestor_state` its state, None if it was pruned. `is_acceptable` says of a merged state
    whether it fits the schema: two changes that are fine may be wrong together.
    """
    if base == current:
        return decide_on_top(last_revision, base, theirs, reason)
    number = last_revision + 1
    own = NewRevision(number, (base,), reason, theirs)
    branch = next((each for each in open_branches if each.branch == base), None)
    merged = merge(ancestor_state, ours.state, theirs.state, rules)
    extends = branch.conflict_id if branch is not None else None
    if merged.paths or (is_acceptable is not None and not is_acceptable(merged.state)):
        paths = merged.paths or [""]
        return WriteDecision("conflict", own, None, merged.state, paths, ancestor, extends=extends)
    content = theirs._replace(
        state=merged.state,
        play_time_s=max(ours.play_time_s, theirs.play_time_s),
        is_modded=ours.is_modded or theirs.is_modded,
    )
    head = NewRevision(number + 1, (current, number), "merge", content)
    return WriteDecision("merged", own, head, merged.state, base=ancestor, closes=extends)


def find_merge_base(
    parents: Parents, base: int, current: int, open_branches: Sequence[OpenBranch] = ()
) -> int | None:
    """Find the common ancestor of a write's base and the current revision.

    A branch in conflict keeps the ancestor that it had when the conflict was opened: if its
    resolution was taken back, the history says that they had met.
    """
    for each in open_branches:
        if each.branch == base:
            return each.base
    return merge_base(parents, base, current)


# ------------------------------------------------------------------ what is kept


class KeptRevision(NamedTuple):
    """A revision whose state is stored."""

    revision: int
    size: int
    device: str
    is_pinned: bool


class RevisionRetention(NamedTuple):
    """How many revisions of a slot keep their states."""

    revisions: int
    bytes_max: int
    devices: int = 10


def list_prunable(
    kept: Sequence[KeptRevision], *, needed: Iterable[int], retention: RevisionRetention
) -> list[int]:
    """Say which revisions lose their states.

    Pinned ones are kept, those that are `needed` (the current one, branches in conflict and what
    they come from), and the newest of each device, from which it may go on after a long time
    offline. Of the others the newest are, as many as may be.
    """
    protected = set(needed) | {each.revision for each in kept if each.is_pinned}
    newest_first = sorted(kept, reverse=True)
    devices: dict[str, int] = {}
    for each in newest_first:
        if len(devices) < retention.devices:
            devices.setdefault(each.device, each.revision)
    protected |= set(devices.values())
    room = retention.bytes_max - sum(each.size for each in kept if each.revision in protected)
    gone, count = [], 0
    for each in newest_first:
        if each.revision in protected:
            continue
        count += 1
        room -= each.size
        if count > retention.revisions or room < 0:
            gone.append(each.revision)
    return sorted(gone)
