"""Style that can be counted."""

import ast
import builtins
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from persistence.queries import NamedQueries, load_queries
from tests.tidy.source import ROOT, modules, trees

SQL_WORDS = ("SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ")
TASK_GROUPS = ("group", "tasks", "self._group", "self._tasks")
# eth-utils leaves it to whoever uses it to bring what computes Keccak.
NOT_USED_BY_US = {"eth-hash"}
# What others call by its name: picows, aiohttp, asyncio's transports, pydantic, Alembic, tests.
CALLED_FROM_OUTSIDE = {
    *("on_ws_connected", "on_ws_frame", "on_ws_disconnected", "writelines"),
    *("feed_data", "feed_eof"),
    *("field_title_should_be_set", "down_revision", "drop_websocket"),
    # by title packages
    *("add_upgrade", "read_query_file", "read_for_server", "write_for_server"),
    "take_refused",  # by games
}


def every_query() -> list[tuple[Path, NamedQueries]]:
    folder = ROOT / "persistence"
    found = [
        (path, load_queries(str(path.relative_to(folder).with_suffix(""))))
        for path in folder.rglob("*.sql")
    ]
    assert found
    return found


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_task_has_an_owner() -> None:
    """Only a task group makes tasks; `Tasks` and a few loops hold theirs."""
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            assert node.func.attr != "ensure_future", f"{name(path)}:{node.lineno}"
            if node.func.attr == "create_task":
                owner = ast.unparse(node.func.value)
                assert owner in TASK_GROUPS, f"{name(path)}:{node.lineno}: {owner}"


def test_sql_stands_in_sql_files() -> None:
    """All but what composes the statements of the REST interface from the catalogue."""
    for path in modules():
        if name(path) == "server/gateway/rest/sql.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = [word for word in SQL_WORDS if node.value.lstrip().startswith(word)]
                assert not found, f"{name(path)}:{node.lineno}"


def test_every_query_is_described() -> None:
    for path, queries in every_query():
        assert all(queries.descriptions[query] for query in queries), path.name


def test_every_query_is_used() -> None:
    source = "".join(path.read_text() for path in modules())
    for path, queries in every_query():
        unused = [query for query in queries if f'"{query}"' not in source]
        assert unused == [], path.name


@pytest.mark.parametrize("package", ["server/gamekit", "server/rulesets", "protocol"])
def test_the_core_is_pure(package: str) -> None:
    """No clock, no loop, no chance of its own in what must be deterministic."""
    for path in (ROOT / package).rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), name(path)
            if isinstance(node, ast.Import | ast.ImportFrom):
                named = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                banned = {"asyncio", "time", "datetime", "random", "secrets", "socket"}
                assert not banned & {part.partition(".")[0] for part in named}, name(path)


def test_nothing_asks_the_clock_but_the_clock() -> None:
    for path in modules():
        if name(path) == "server/core/clock.py" or path.is_relative_to(ROOT / "loadtest"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today"):
                assert ast.unparse(node.value) not in ("datetime", "date"), name(path)


def test_every_dependency_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    ours = [each for extra in extras.keys() - {"build", "dev"} for each in extras[extra]]
    named = {re.split(r"[^\w-]", each)[0].lower() for each in project["dependencies"] + ours}
    words = set(re.findall(r"\w+", "".join(path.read_text() for path in modules())))
    used = {
        re.sub(r"[._]", "-", distribution.lower())
        for module, distributions in packages_distributions().items()
        if module in words
        for distribution in distributions
    }
    # An editable install does not say which modules it has, and the client is always one here.
    assert named - used - {"playhall"} == NOT_USED_BY_US


def test_client_needs_what_it_imports_and_nothing_else() -> None:
    client = ROOT / "clients" / "python"
    project = tomllib.loads((client / "pyproject.toml").read_text())["project"]
    named = {re.split(r"[^\w-]", each)[0].lower() for each in project["dependencies"]}
    imported = {
        module.partition(".")[0]
        for path in client.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names - {"playhall"} == named


def test_both_distributions_have_one_version() -> None:
    files = (ROOT / "pyproject.toml", ROOT / "clients" / "python" / "pyproject.toml")
    server, client = (tomllib.loads(file.read_text())["project"] for file in files)
    assert server["version"] == client["version"]
    assert f"playhall=={client['version']}" in server["dependencies"]


def test_every_name_is_used() -> None:
    defined: set[str] = set()
    used: set[str] = set()
    for path in modules():
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                used.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)  # an annotation in quotes, a part that is found by its name
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                defined |= {node.name} if not node.decorator_list else set()
        for statement in tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                named = getattr(statement, "targets", None) or [statement.target]
                defined |= {target.id for target in named if isinstance(target, ast.Name)}
    left_over = {name for name in defined - used if not name.startswith("__")}
    assert left_over == CALLED_FROM_OUTSIDE


def test_errors_that_docstrings_name_exist() -> None:
    known = set(vars(builtins))
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                known.add(node.name)
            elif isinstance(node, ast.ImportFrom | ast.Import):
                known.update(each.asname or each.name for each in node.names)
    found = 0
    for module, tree in trees().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            for sentence in re.findall(r"\braises? [^.;]*", (ast.get_docstring(node) or ""), re.I):
                named = re.findall(r"`([A-Z]\w+)`", sentence)
                found += len(named)
                assert known.issuperset(named), f"{module}: {named}"
    assert found
