"""Odd requests from the OpenAPI document, by four kinds of callers: no answer is a 500.

Schemathesis makes the requests. Values that exist take the place of made-up ones in paths,
queries and bodies half of the time, so that requests get past "there is no such thing".
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import aiohttp
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from tests.fuzz.conftest import World

SEED: Final = 20_261_128
EXAMPLES: Final = 3
EXAMPLES_LONG: Final = 150
TIMEOUT_S: Final = 60


class Operation(NamedTuple):
    """Something that can be asked for, and the requests that fit its description or do not."""

    label: str
    cases: dict[GenerationMode, st.SearchStrategy[Case]]


class Caller:
    """Sends requests as one kind of caller, with a new account for each operation."""

    def __init__(self, world: World, kind: str, loop: asyncio.AbstractEventLoop) -> None:
        self._world = world
        self._kind = kind
        self._loop = loop
        self._chance = random.Random(f"{SEED} {kind}")
        self._web = requests.Session()
        self._errors: set[str] = set()
        self.answers = 0
        self.oks: set[str] = set()

    def run(self, operations: Sequence[Operation], examples: int) -> None:
        """Try every operation."""
        self._errors = {each["code"] for each in self._get("/asyncapi.json")["x-errors"]}
        for operation in operations:
            self._sign_in()
            for mode, cases in operation.cases.items():
                try:
                    self._try(cases, examples)
                except Unsatisfiable:
                    assert mode is GenerationMode.NEGATIVE, operation.label

    def _get(self, path: str) -> Any:
        return self._web.get(self._world.node.url + path, timeout=TIMEOUT_S).json()

    def _sign_in(self) -> None:
        token = asyncio.run_coroutine_threadsafe(self._world.token(self._kind), self._loop).result()
        self._web.headers.pop("Authorization", None)
        if token is not None:
            self._web.headers["Authorization"] = f"Bearer {token}"

    def _try(self, cases: st.SearchStrategy[Case], examples: int) -> None:
        @seed(SEED)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases)
        def send(case: Case) -> None:
            self._fill(case)
            answer = case.call(base_url=self._world.node.url, session=self._web, timeout=TIMEOUT_S)
            self._check(case, answer.status_code, answer.content)

        send()

    def _fill(self, case: Case) -> None:
        for part in (case.path_parameters, case.query, case.body):
            for name in list(part) if isinstance(part, dict) else ():
                known = self._world.known.get(self._world.names.get(name, name))
                if known and self._chance.random() < 0.5:
                    part[name] = self._chance.choice(known)

    def _check(self, case: Case, status: int, body: bytes) -> None:
        self.answers += 1
        assert status < 500 or b'"overloaded"' in body, (
            f"{status} {body!r}\n{case.as_curl_command()}"
        )
        if status < 400:
            self.oks.add(case.operation.label)
        elif body.startswith(b'{"type":"error"'):
            code = requests.models.complexjson.loads(body)["code"]
            assert code in self._errors, f"{code} is not documented\n{case.as_curl_command()}"


@pytest.fixture(scope="module")
def operations(world: World) -> list[Operation]:
    """Every operation; making up what requests are made from takes longer than sending them."""
    schema = schemathesis.openapi.from_url(f"{world.node.url}/openapi.json")
    return [
        Operation(
            operation.label,
            {
                mode: operation.as_strategy(generation_mode=mode)
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
            },
        )
        for operation in (found.ok() for found in schema.get_all_operations())
    ]


@pytest.mark.parametrize("kind", ["anonymous", "player", "bot", "admin"])
async def test_no_request_is_answered_by_a_fault(
    world: World, operations: list[Operation], kind: str, *, is_long: bool
) -> None:
    caller = Caller(world, kind, asyncio.get_running_loop())
    await asyncio.to_thread(caller.run, operations, EXAMPLES_LONG if is_long else EXAMPLES)
    assert caller.answers > 100
    assert len(caller.oks) > 5, "hardly anything reached its handler"
    assert [line for line in world.node.output if "Traceback" in line] == []


async def test_the_node_is_well_after_all_of_this(world: World) -> None:
    async with aiohttp.ClientSession(world.node.url) as web, web.get("/readyz") as answer:
        assert answer.status == 200
    await asyncio.to_thread(world.verify)
