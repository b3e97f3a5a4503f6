"""Log lines as JSON objects."""

import asyncio
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from persistence.hook_points import HookPoint
from server.core.json_logs import JsonFormatter, naming

ROOT = Path(__file__).parents[3]


def written(
    formatter: JsonFormatter, message: str, *arguments: object, **extra: str
) -> dict[str, Any]:
    record = logging.getLogger("here").makeRecord(
        "here", logging.WARNING, "file", 1, message, arguments, None, extra=extra
    )
    line = formatter.format(record)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_has_what_the_call_the_command_and_the_sources_say() -> None:
    formatter = JsonFormatter()
    formatter.node = "n1"
    formatter.sources.append(lambda: {"trace_id": "t"})
    with naming({"request_id": "r", "game_id": "the command's"}):
        line = written(formatter, "game %s: %s", "g", "lost", game_id="g")
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "logger": "here",
        "message": "game g: lost",
        "node": "n1",
        "request_id": "r",
        "trace_id": "t",
        "game_id": "g",
    }
    assert "request_id" not in written(formatter, "later")


def test_a_line_is_one_line_whatever_is_in_it() -> None:
    line = written(JsonFormatter(), "a client sent %s", 'a\nb "c" \ud800 \0')
    assert line["message"] == 'a client sent a\nb "c" \\ud800 \0'


async def test_what_a_command_starts_names_it_as_well() -> None:
    formatter = JsonFormatter()

    async def later() -> dict[str, Any]:
        await asyncio.sleep(0)
        return written(formatter, "much later")

    with naming({"request_id": "r"}):
        task = asyncio.create_task(later())
    assert (await task)["request_id"] == "r"


def test_every_line_about_a_game_names_it_in_a_field() -> None:
    calls = [
        call
        for folder in ("server", "persistence")
        for path in (ROOT / folder).rglob("*.py")
        for call in re.findall(r"log\.\w+\((?:[^()]|\([^()]*\))*\)", path.read_text())
        if "game %s" in call
    ]
    assert calls
    assert [call for call in calls if '"game_id":' not in call] == []


def test_what_was_observed_first_is_innermost() -> None:
    called: list[str] = []
    point = HookPoint(called.append)

    def named(name: str) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
        def wrap(original: Callable[[str], None]) -> Callable[[str], None]:
            def run(what: str) -> None:
                called.append(name)
                original(what)

            return run

        return wrap

    assert point.around is None
    point.observe(named("inner"))
    point.observe(named("outer"))
    assert point.around is not None
    point.around("itself")
    assert called == ["outer", "inner", "itself"]


def test_a_server_that_traces_nothing_loads_and_observes_nothing() -> None:
    program = """
import sys
import server.serving
from persistence.hook_points import HookPoint
assert not any(name.startswith("opentelemetry") for name in sys.modules)
points = {
    each
    for module in list(sys.modules.values())
    for each in vars(module).values()
    if isinstance(each, HookPoint)
}
assert len(points) > 10, points
assert all(point.around is None for point in points), points
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
