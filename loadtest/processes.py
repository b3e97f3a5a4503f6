"""Running a load test's shares, each in a process of its own, and adding them up."""

import asyncio
import gc
import multiprocessing
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Final

from loadtest.measure import Measurements, MeasurementWindow, Progress, TotalsSample
from loadtest.scenarios.scenario import Scenario
from playhall.errors import ClientError

JOIN_TIMEOUT_S = 10.0
# Python looks for garbage after so many new objects, instead of 700. What is seen of a game is
# no garbage for as long as the game lasts, so a process of the load that looked as often as
# usual would spend a sixth of its time on it.
GARBAGE_THRESHOLD: Final = 100_000


class ScenarioFailed(Exception):
    """A process of the load test could not do its share; the message says why."""


@dataclass(frozen=True, slots=True)
class _Failure:
    sentence: str


def run_scenarios(
    shares: Sequence[Scenario], *, progress: Callable[[list[Progress]], None]
) -> list[Measurements]:
    """Run every share to its end; `progress` is called with how far each of them is."""
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    processes = []
    for share in shares:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(share, there), daemon=True)
        process.start()
        there.close()
        pipes.append(here)
        processes.append(process)
    try:
        return _listen(pipes, progress)
    finally:
        for process in processes:
            process.terminate()
            process.join(JOIN_TIMEOUT_S)


def _listen(
    pipes: list[Connection], progress: Callable[[list[Progress]], None]
) -> list[Measurements]:
    latest = {pipe: Progress("starting", 0, 0, 0) for pipe in pipes}
    results: dict[Connection, Measurements] = {}
    while len(results) < len(pipes):
        for pipe in wait([pipe for pipe in pipes if pipe not in results]):
            assert isinstance(pipe, Connection)
            said = _hear(pipe)
            if isinstance(said, Measurements):
                results[pipe] = said
            else:
                latest[pipe] = said
        progress(list(latest.values()))
    return [results[pipe] for pipe in pipes]


def _hear(pipe: Connection) -> Progress | Measurements:
    try:
        said = pipe.recv()
    except EOFError:
        raise ScenarioFailed("A process of the load test ended without a result.") from None
    if isinstance(said, _Failure):
        raise ScenarioFailed(said.sentence)
    assert isinstance(said, (Progress, Measurements))
    return said


def _work(share: Scenario, pipe: Connection) -> None:
    """Run in the child: do the share, send the result."""
    _allow_files()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            pipe.send(runner.run(share.run(pipe.send)))
    except BaseExceptionGroup as group:
        pipe.send(_Failure(_sentence(group)))
    except Exception as error:
        pipe.send(_Failure(_sentence(error)))
    except KeyboardInterrupt:
        sys.exit(130)


def _sentence(error: BaseException) -> str:
    """Say in a sentence what a client error was; anything else is a bug with a traceback."""
    inner = error
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    if isinstance(inner, ClientError):
        return str(inner)
    return "".join(traceback.format_exception(inner))


def _allow_files() -> None:
    """Allow as many open files as this process may have: thousands of connections are some."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def merge_measurements(parts: Sequence[Measurements]) -> Measurements:
    """Add up what the processes measured at the same time."""
    whole, *others = parts
    for part in others:
        whole.window.counters.add(part.window.counters)
        whole.total.add(part.total)
        whole.checks.add(part.checks)
        whole.numbers.update(part.numbers)
        whole.busy = max(whole.busy, part.busy)
    seconds = sum(part.window.seconds for part in parts) / len(parts)
    whole.window = MeasurementWindow(seconds, whole.window.counters)
    whole.samples = _added([part.samples for part in parts])
    return whole


def _added(series: Sequence[list[TotalsSample]]) -> list[TotalsSample]:
    """Add up samples, second by second; a process that has ended keeps its last totals."""
    length = max(map(len, series))
    padded = [each + each[-1:] * (length - len(each)) for each in series if each]
    return [
        TotalsSample(
            max(sample.at_s for sample in samples),
            sum(sample.games for sample in samples),
            sum(sample.moves for sample in samples),
            sum(sample.deliveries for sample in samples),
        )
        for samples in zip(*padded, strict=True)
    ]
