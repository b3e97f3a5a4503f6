"""Structure that can be counted: import cycles, names, and words that the project gave up."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec

import pytest

from tests.fixtures.forked import PRELOADED
from tests.tidy.source import ROOT, trees

# Words of an older dialect, and what to say instead: docs/decisions/0005-the-fields-own-words.md.
RETIRED = {
    "Audience": "Subscribers",
    "Behalf": "RlsDatabase",
    "Books": "AuditReader",
    "Chair": "Seat",
    "Circle": "Namespace",
    "Desk": "GameAuditor",
    "Foundation": "Services",
    "FrontDoor": "Listener",
    "Hosting": "GameRegistry",
    "Lens": "ViewEncoder",
    "Scribe": "EventRecorder",
    "Told": "RecordedEvent",
    "Upkeep": "maintenance",
}
RETIRED_MODULES = {
    *("answers", "append", "audience", "behalf", "books", "caller", "carriers", "cast", "circles"),
    *("crowd", "departures", "desk", "endings", "foundation", "frontdoor", "hosting", "kernel"),
    *("letters", "line", "outbox", "passes", "pictures", "records", "redecide", "refusals"),
    *("room", "scribe", "sight", "tally", "trouble", "upkeep"),
}


# Words that named variables, methods, fields, and tables in queries.
RETIRED_NAMES = {
    *("at_desk", "behalf", "caller", "chair", "chairs", "circles", "desk", "endings", "hosting"),
    *("lens", "let_go", "open_desk", "picture", "pictures", "scribe", "show_out"),
    *("begin_anew", "believe", "door", "hang_up", "take_back", "tell", "tell_all", "told"),
    *("trouble", "upkeep", "welcome_pages"),
}


def imports(tree: ast.Module) -> Iterator[str]:
    """Give what a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in trees() else node.module


def classes() -> Iterator[tuple[str, str]]:
    for module, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                yield module, node.name


def test_no_module_imports_itself_through_others() -> None:
    graph = {
        name: {each for each in imports(tree) if each in trees() and each != name}
        for name, tree in trees().items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_import_of_ours_is_for_the_type_checker_alone() -> None:
    """What needs this escape is a cycle."""
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                inside = imports(ast.Module(node.body, []))
                assert not [each for each in inside if each in trees()], name


def test_retired_words_name_nothing() -> None:
    named = [(module, name) for module, name in classes() if name.lstrip("_") in RETIRED]
    assert [f"{module}.{name}: say {RETIRED[name.lstrip('_')]}" for module, name in named] == []


def test_retired_words_name_no_variable_and_no_method() -> None:
    found = {
        f"{module}: {name}"
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if (name := _name_of(node).lstrip("_")) in RETIRED_NAMES
    }
    assert sorted(found) == []


def test_retired_words_name_nothing_in_queries() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "persistence").rglob("*.sql")
        for line in path.read_text().splitlines()
        for name in re.findall(r"\w+", re.sub(r"'[^']*'|--.*", "", line))
        if name in RETIRED_NAMES
    }
    assert sorted(found) == []


def _name_of(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
        case ast.keyword(arg=str(name)):
            return name
    return ""


def test_retired_words_name_no_module() -> None:
    parts = {(name, part) for name in trees() for part in name.split(".")}
    assert sorted(name for name, part in parts if part in RETIRED_MODULES) == []


def test_a_public_class_name_is_unique_in_its_package() -> None:
    """Within a folder of modules, one name is one thing.

    In `protocol` the module is part of a command's name on the wire: `lobby.watch`, `game.watch`.
    Skeletons are copied one at a time.
    """
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for module, name in classes():
        if not name.startswith("_"):
            found[module.rpartition(".")[0], name].append(module)
    assert {
        key: where
        for key, where in found.items()
        if len(where) > 1 and key[0] not in ("protocol", "server.ops.skeletons")
    } == {}


def test_what_tests_import_ahead_is_there() -> None:
    """The fork server passes over a name that it does not find; commands would only get slow."""
    assert [name for name in PRELOADED if find_spec(name) is None] == []
