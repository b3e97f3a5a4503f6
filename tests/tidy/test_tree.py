"""Style that can be counted."""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from statistics import median

import pytest

from persistence.queries import load

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocol", "persistence", "migrations", "server", "loadtest")
MODULE_LINES_MAX = 400
MODULE_LINES_MEDIAN = 150
BODY_LINES_MAX = 40
BODY_LINES_MEDIAN = 8
BODY_LINES_NINE_IN_TEN = 25
SQL_WORDS = ("SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ")
TASK_GROUPS = ("group", "tasks", "self._group", "self._tasks")
# eth-utils leaves it to whoever uses it to bring what computes Keccak; redis is what the fan-out
# between nodes will use, for which `persistence/bus.py` has the place.
NOT_USED_BY_US = {"eth-hash", "redis"}
# What others call by its name: picows, asyncio's transports, pydantic, Alembic, and tests.
CALLED_FROM_OUTSIDE = {
    *("on_ws_connected", "on_ws_frame", "on_ws_disconnected", "writelines"),
    *("field_title_should_be_set", "down_revision", "interrupt", "follows"),
}
ROOM_CARD = ("For:", "Promises:", "Must not know:")


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Give each function's name and the lines of its body, without its docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if ast.get_docstring(node) is not None:
                body = body[1:]
            if body:
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
                yield f"{name(path)}:{node.name}", lines


def test_no_module_is_longer_than_400_lines() -> None:
    assert [name(m) for m in modules() if len(m.read_text().splitlines()) > MODULE_LINES_MAX] == []


def test_median_module_is_at_most_150_lines() -> None:
    assert median(len(m.read_text().splitlines()) for m in modules()) <= MODULE_LINES_MEDIAN


def test_function_bodies_are_short() -> None:
    bodies = [found for module in modules() for found in functions(module)]
    assert [found for found in bodies if found[1] > BODY_LINES_MAX] == []
    lines = sorted(length for _, length in bodies)
    assert median(lines) <= BODY_LINES_MEDIAN
    assert lines[len(lines) * 9 // 10] <= BODY_LINES_NINE_IN_TEN


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_opens_with_its_room_card(package: str) -> None:
    for init in (ROOT / package).rglob("__init__.py"):
        if init.parent.name == "versions":
            continue
        card = ast.get_docstring(ast.parse(init.read_text())) or ""
        assert [word for word in ROOM_CARD if word not in card] == [], name(init)


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
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = [word for word in SQL_WORDS if node.value.lstrip().startswith(word)]
                assert not found, f"{name(path)}:{node.lineno}"


def test_every_query_is_described() -> None:
    for path in (ROOT / "persistence" / "sql").glob("*.sql"):
        queries = load(path.stem)
        assert all(queries.descriptions[query] for query in queries), path.name


def test_every_query_is_used() -> None:
    source = "".join(path.read_text() for path in modules())
    for path in (ROOT / "persistence" / "sql").glob("*.sql"):
        unused = [query for query in load(path.stem) if f'"{query}"' not in source]
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
        if name(path) == "server/kernel/clock.py" or path.is_relative_to(ROOT / "loadtest"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today"):
                assert ast.unparse(node.value) not in ("datetime", "date"), name(path)


def test_every_dependency_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {re.split(r"[^\w-]", each)[0].lower() for each in project["dependencies"]}
    words = set(re.findall(r"\w+", "".join(path.read_text() for path in modules())))
    used = {
        distribution.lower().replace("_", "-")
        for module, distributions in packages_distributions().items()
        if module in words
        for distribution in distributions
    }
    assert named - used == NOT_USED_BY_US


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
