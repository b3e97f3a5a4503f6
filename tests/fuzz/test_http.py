"""Odd requests from the OpenAPI document, by four kinds of callers: no answer is a 500.

Schemathesis makes the requests. Values that exist take the place of made-up ones in paths,
queries and bodies half of the time, so that requests get past "there is no such thing".
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeGuard

import aiohttp
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation

from tests.fuzz.conftest import World

SEED: Final = 20_261_128
KINDS: Final = ("anonymous", "player", "bot", "admin")
EXAMPLES: Final = 2
EXAMPLES_LONG: Final = 150
TIMEOUT_S: Final = 60


class Operation(NamedTuple):
    """Something that can be asked for, and the requests that fit its description or do not."""

    label: str
    cases: dict[GenerationMode, st.SearchStrategy[Case]]


class Caller:
    """Sends requests as one kind of caller, with a new account for each operation."""

    def __init__(self, world: World, kind: str, loop: asyncio.AbstractEventLoop) -> None:
        self.kind = kind
        self._world = world
        self._loop = loop
        self._chance = random.Random(f"{SEED} {kind}")
        self._web = requests.Session()
        self._errors = {each["code"] for each in self._get("/asyncapi.json")["x-errors"]}
        self.answers = 0
        self.oks: set[str] = set()

    def _get(self, path: str) -> Any:
        return self._web.get(self._world.node.url + path, timeout=TIMEOUT_S).json()

    def sign_in(self) -> None:
        """Take a new account."""
        token = asyncio.run_coroutine_threadsafe(self._world.token(self.kind), self._loop).result()
        self._web.headers.pop("Authorization", None)
        if token is not None:
            self._web.headers["Authorization"] = f"Bearer {token}"

    def send(self, case: Case) -> None:
        """Send a request, with values that exist in the place of some, and check the answer."""
        parts = [part for part in (case.path_parameters, case.query, case.body) if has_names(part)]
        made_up = [dict(part) for part in parts]
        for part in parts:
            self._fill(part)
        answer = case.call(base_url=self._world.node.url, session=self._web, timeout=TIMEOUT_S)
        self._check(case, answer.status_code, answer.content)
        for part, before in zip(parts, made_up, strict=True):  # for the next caller
            part.update(before)

    def _fill(self, part: dict[str, object]) -> None:
        for name in part:
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


def has_names(part: object) -> TypeGuard[dict[str, object]]:
    return isinstance(part, dict)


@pytest.fixture(scope="module")
def operations(world: World, *, is_long: bool) -> list[Operation]:
    """Every operation; making up what requests are made from takes longer than sending them.

    The long form alone sends requests to all of them; `make test` to every second one, and wrong
    ones to every fourth.
    """
    schema = schemathesis.openapi.from_url(f"{world.node.url}/openapi.json")
    found = [operation.ok() for operation in schema.get_all_operations()]
    return [
        Operation(
            operation.label,
            {
                mode: operation.as_strategy(generation_mode=mode)
                for mode in modes_of(operation, wrong_too=is_long or number % 4 == 0)
            },
        )
        for number, operation in enumerate(found)
        if is_long or number % 2 == 0
    ]


def modes_of(operation: APIOperation, *, wrong_too: bool) -> Iterator[GenerationMode]:
    """Leave out wrong requests where any text is right: that is found by hundreds of attempts."""
    yield GenerationMode.POSITIVE
    if not wrong_too:
        return
    parts = (operation.query, operation.headers, operation.cookies, operation.body)
    schemas = [parameter.definition["schema"] for parameter in operation.path_parameters]
    if any(parts) or any(schema != {"type": "string"} for schema in schemas):
        yield GenerationMode.NEGATIVE


async def test_no_request_is_answered_by_a_fault(
    world: World, operations: list[Operation], *, is_long: bool
) -> None:
    loop = asyncio.get_running_loop()
    examples = EXAMPLES_LONG if is_long else EXAMPLES
    callers = await asyncio.to_thread(fuzz, world, operations, examples, loop)
    for caller in callers:
        assert caller.answers > 100, caller.kind
        assert len(caller.oks) > 5, f"hardly anything of the {caller.kind} reached its handler"
    assert [line for line in world.node.output if "Traceback" in line] == []


def fuzz(
    world: World, operations: Sequence[Operation], examples: int, loop: asyncio.AbstractEventLoop
) -> list[Caller]:
    """Send every request as each kind of caller: making it up takes longer than sending it."""
    callers = [Caller(world, kind, loop) for kind in KINDS]
    for operation in operations:
        for caller in callers:
            caller.sign_in()
        for mode, cases in operation.cases.items():
            try:
                send_all(callers, cases, examples)
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, operation.label
    return callers


def send_all(callers: Sequence[Caller], cases: st.SearchStrategy[Case], examples: int) -> None:
    """Make up some requests of an operation, and send each as every caller."""

    @seed(SEED)
    @settings(
        max_examples=examples,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def send(case: Case) -> None:
        for caller in callers:
            caller.send(case)

    send()


async def test_the_node_is_well_after_all_of_this(world: World) -> None:
    async with aiohttp.ClientSession(world.node.url) as web, web.get("/readyz") as answer:
        assert answer.status == 200
    await asyncio.to_thread(world.verify)
