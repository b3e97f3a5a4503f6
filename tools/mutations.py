"""Break each mechanism of the log on purpose, and see its test fail: `make mutants`.

`mutations.toml`, beside this, names for each mechanism a text in one file, what is put in its
place, and the shortest tests that must fail then. Each mutation is made in a copy of the tree,
alone. A test has to fail by an assertion, or by the exception that the table names (`raises`): a
mutant that cannot be imported, or whose fixtures fail, proves nothing. All tests must pass in the
copy without a mutation first.

Mutants share a running PostgreSQL with a migrated template. Those of migrations get one of their
own, migrated by the mutated steps.

Exit status: 0 every mutant was killed, 1 some were not, 2 the table or the tree is not fit for it.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from persistence.embedded import SETTINGS, EmbeddedPostgres
from tools.mutation_report import REPORT

ROOT: Final = Path(__file__).parents[1]
TABLE: Final = Path(__file__).with_suffix(".toml")
PAGE: Final = ROOT / "docs/reference/mechanisms.md"
KILLED, SURVIVED, UNFIT = 0, 1, 2
_HEAD: Final = """# What upholds the promises of the log

The [promises](../explanation/durability.md) have numbers there. Each row is a mechanism that
upholds one of them, and a test that fails without it: `make mutants` breaks
[each mechanism](../explanation/durability.md#each-mechanism-removed) in a copy of the tree, and
runs its test.

`python -m tools.mutations --markdown` writes this page from `tools/mutations.toml`."""
# How long the tests of one mutant may take. None should come near it, also on a busy machine.
TIMEOUT_S: Final = 240
STOP_TIMEOUT_S: Final = 30
# `Failed` is what `pytest.raises` raises where nothing was raised.
ASSERTIONS: Final = ("AssertionError", "Failed")
_OWN_SERVER: Final = "PLAYHALL_TEST_DATABASE_URL"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
_ENOUGH_BYTES: Final = 6 << 30


class Unfit(Exception):
    """The table does not fit the tree, or the tree does not pass its own tests."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mechanism, how it is broken, and which tests fail then."""

    name: str
    promise: int  # by its number in docs/explanation/durability.md
    mechanism: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]
    # A test may show it by another exception than an assertion: by waiting in vain, for example.
    raises: str = ""

    @property
    def is_migration(self) -> bool:
        """Whether the database has to be migrated anew."""
        return self.path.startswith("migrations/")

    def apply(self, source: str) -> str:
        """Give the mutated text of the file; raise `Unfit` where the old text is not there once."""
        found = source.count(self.old)
        if found != 1:
            raise Unfit(
                f"{self.name}: the old text occurs {found} times in {self.path}, not once;"
                f" write it anew in {TABLE.relative_to(ROOT)}."
            )
        return source.replace(self.old, self.new)


def read_table(path: Path = TABLE) -> list[Mutation]:
    """Read the mutations; raise `Unfit` where two have one name or a field is missing."""
    entries: list[dict[str, Any]] = tomllib.loads(path.read_text("utf-8"))["mutation"]
    try:
        mutations = [Mutation(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]
    except (KeyError, TypeError) as error:
        raise Unfit(f"{path.name}: {error}") from None
    names = [mutation.name for mutation in mutations]
    if doubles := {name for name in names if names.count(name) > 1}:
        raise Unfit(f"{path.name}: {', '.join(sorted(doubles))}: more than one has this name.")
    return mutations


def choose(mutations: Sequence[Mutation], names: Sequence[str]) -> list[Mutation]:
    """Choose mutations by their names, or all; raise `Unfit` where there is none of a name."""
    if unknown := set(names) - {mutation.name for mutation in mutations}:
        raise Unfit(f"No mutation is called {', '.join(sorted(unknown))}; see --list.")
    return [mutation for mutation in mutations if not names or mutation.name in names]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one test ended."""

    test: str
    outcome: str
    raised: str


def read_outcomes(report: Path) -> list[Outcome]:
    """Read what `mutation_report` wrote; nothing where no test was reached."""
    if not report.exists():
        return []
    return [Outcome(**json.loads(line)) for line in report.read_text("utf-8").splitlines()]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutant."""

    word: str  # killed, survived or unclear
    why: str = ""


def judge(mutation: Mutation, outcomes: Sequence[Outcome]) -> Verdict:
    """Say whether every test that is named failed, and as it should.

    A test with parameters counts as failed where one of its cases failed.
    """
    for test in mutation.tests:
        cases = [each for each in outcomes if each.test == test or each.test.startswith(f"{test}[")]
        failed = [each for each in cases if each.outcome == "failed"]
        if any(each.raised in (*ASSERTIONS, mutation.raises) for each in failed):
            continue
        if failed:
            return Verdict("unclear", f"{_short(test)} failed with {failed[0].raised}")
        if cases and all(each.outcome == "passed" for each in cases):
            return Verdict("survived", f"{_short(test)} passed")
        what = cases[0].outcome if cases else "did not run"
        return Verdict("unclear", f"{_short(test)}: {what} {cases[0].raised if cases else ''}")
    return Verdict("killed")


class Copy:
    """A copy of the tree, in which mutations are made and tests run."""

    def __init__(self, folder: Path, *, build: str | None, dsn: str | None) -> None:
        self.folder = folder / "tree"
        self._report = folder / "report"
        self._output = folder / "output"
        self._build = build
        self._dsn = dsn
        self._changes = 0
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (source := ROOT / name).is_file():
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        (self.folder / ".venv").symlink_to(Path(sys.prefix))
        self._environment = {
            **os.environ,
            # Before what the environment has installed, which is the tree that this is a copy of.
            "PYTHONPATH": f"{self.folder}{os.pathsep}{self.folder / 'clients/python'}",
            "PYTHONDONTWRITEBYTECODE": "",
            REPORT: str(self._report),
        }

    def write(self, path: str, text: str) -> None:
        """Change a file; its time is one that it never had, so no compiled form of it is used."""
        self._changes += 1
        file = self.folder / path
        file.write_text(text, "utf-8")
        at = time.time() + self._changes
        os.utime(file, (at, at))

    def build(self) -> None:
        """Run the command that was asked for; raise `Unfit` where it fails."""
        if self._build is not None:
            done = subprocess.run(  # noqa: S602 - the caller's own command
                self._build, shell=True, cwd=self.folder, env=self._environment, check=False
            )
            if done.returncode:
                raise Unfit(f"`{self._build}` failed with status {done.returncode}.")

    def run(self, tests: Iterable[str], *, migrated_anew: bool = False) -> list[Outcome]:
        """Run some tests; gives how each ended, and raises `Unfit` where they never end."""
        self._report.unlink(missing_ok=True)
        environment = dict(self._environment)
        if self._dsn is not None and not migrated_anew:
            environment[_OWN_SERVER] = self._dsn
        else:
            environment.pop(_OWN_SERVER, None)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-p", "tools.mutation_report", *tests]
        with self._output.open("w") as output:
            running = subprocess.Popen(  # noqa: S603 - of our own words
                command,
                cwd=self.folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                running.wait(TIMEOUT_S)
            except BaseException as error:
                _stop(running)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
        return read_outcomes(self._report)

    @property
    def output(self) -> str:
        """What the last run wrote."""
        return self._output.read_text("utf-8", "replace")


def _stop(running: subprocess.Popen[bytes]) -> None:
    """Have pytest stop its servers; what is left of it after that is killed."""
    running.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        running.wait(STOP_TIMEOUT_S)
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def require_sound(copy: Copy, mutations: Sequence[Mutation]) -> None:
    """Raise `Unfit` unless all tests pass without a mutation."""
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    outcomes = copy.run(tests)
    bad = [each for each in outcomes if each.outcome != "passed"]
    missing = [
        test
        for test in tests
        if not any(each.test == test or each.test.startswith(f"{test}[") for each in outcomes)
    ]
    if bad or missing:
        said = [f"{each.test}: {each.outcome} {each.raised}" for each in bad]
        said += [f"{test}: did not run" for test in missing]
        raise Unfit(
            "These must pass before anything is mutated:\n"
            + "\n".join(said)
            + f"\n{copy.output[-3000:]}"
        )


def try_mutation(copy: Copy, mutation: Mutation) -> Verdict:
    """Make one mutation, run its tests, and undo it."""
    original = (copy.folder / mutation.path).read_text("utf-8")
    copy.write(mutation.path, mutation.apply(original))
    try:
        copy.build()
        return judge(mutation, copy.run(mutation.tests, migrated_anew=mutation.is_migration))
    finally:
        copy.write(mutation.path, original)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _short(test: str) -> str:
    return test.rpartition("::")[2]


def _print_row(mutation: Mutation, verdict: Verdict, seconds: float) -> None:
    row = (
        f"{mutation.promise}  {mutation.name:<44} {verdict.word:<9} {seconds:4.0f} s  {verdict.why}"
    )
    _say(row.rstrip())


def draw_page(mutations: Sequence[Mutation]) -> str:
    """Draw the page that says of each promise what upholds it, and which tests show that."""
    lines = [_HEAD]
    for promise in sorted({mutation.promise for mutation in mutations}):
        lines += ["", f"## Promise {promise}", ""]
        lines += ["| mechanism | where | mutation | test that fails |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {each.mechanism} | `{each.path}` | `{each.name}` "
            f"| {', '.join(f'`{_short(test)}`' for test in each.tests)} |"
            for each in mutations
            if each.promise == promise
        ]
    return "\n".join(lines) + "\n"


def _quickest() -> Path | None:
    """Choose a folder in memory where there is room, as the suite does: a test makes a database."""
    is_roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ENOUGH_BYTES
    return _MEMORY if is_roomy else None


def try_all(mutations: Sequence[Mutation], *, build: str | None, keep_output: bool) -> int:
    """Try some mutations; gives the exit status."""
    for mutation in mutations:  # before anything is started
        mutation.apply((ROOT / mutation.path).read_text("utf-8"))
    with tempfile.TemporaryDirectory(prefix="playhall-mutants-", dir=_quickest()) as name:
        folder = Path(name)
        folder.chmod(0o755)  # for PostgreSQL's own user
        server = EmbeddedPostgres(settings=SETTINGS)
        try:
            dsn = server.start(folder / "postgres")
            copy = Copy(folder, build=build, dsn=dsn)
            copy.build()
            require_sound(copy, mutations)
            left = 0
            for mutation in mutations:
                began = time.monotonic()
                verdict = try_mutation(copy, mutation)
                _print_row(mutation, verdict, time.monotonic() - began)
                left += verdict.word != "killed"
                if keep_output and verdict.word != "killed":
                    _say(copy.output[-4000:])
        finally:
            server.stop()
    _say(f"{len(mutations) - left} of {len(mutations)} mutants were killed.")
    return SURVIVED if left else KILLED


def main() -> int:
    """Try what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="list the mutations and try none")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="try this one; may be given several times"
    )
    parser.add_argument(
        "--build", metavar="COMMAND", help="run this in the copy after each mutation: 'make fast'"
    )
    parser.add_argument("--markdown", action="store_true", help="write the page of the mechanisms")
    parser.add_argument(
        "--verbose", action="store_true", help="show what the tests of a survivor wrote"
    )
    asked = parser.parse_args()
    try:
        mutations = choose(read_table(), asked.only or ())
        if asked.list:
            for mutation in mutations:
                _say(f"{mutation.promise}  {mutation.name:<44} {mutation.mechanism}")
            return KILLED
        if asked.markdown:
            PAGE.write_text(draw_page(mutations), "utf-8")
            return KILLED
        return try_all(mutations, build=asked.build, keep_output=asked.verbose)
    except Unfit as unfit:
        sys.stderr.write(f"{unfit}\n")
        return UNFIT


if __name__ == "__main__":
    sys.exit(main())
