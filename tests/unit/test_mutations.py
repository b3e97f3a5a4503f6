"""What counts as a mutant that was killed: its test failed, as a test does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.mutation_report import REPORT
from tools.mutations import ROOT, Mutation, Outcome, judge, read_outcomes

TESTS = """
import pytest

@pytest.mark.parametrize("n", [1, 2])
def test_fails(n): assert n == 1

def test_misses_an_error():
    with pytest.raises(ValueError): pass

def test_passes(): pass

def test_waits(): raise TimeoutError

def test_is_skipped(): pytest.skip("")

@pytest.fixture
def broken(): assert False

def test_is_not_set_up(broken): pass
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    folder = tmp_path_factory.mktemp("tests")
    (folder / "test_it.py").write_text(TESTS)
    report = folder / "report"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tools.mutation_report", "--rootdir=.", "."],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), REPORT: str(report)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return read_outcomes(report)


def verdict(outcomes: list[Outcome], *tests: str, raises: str = "") -> str:
    ids = tuple(f"test_it.py::{test}" for test in tests)
    return judge(Mutation("name", 1, "", "", "", "", ids, raises), outcomes).word


@pytest.mark.parametrize(
    ("test", "word"),
    [
        ("test_fails", "killed"),
        ("test_fails[2]", "killed"),
        ("test_fails[1]", "survived"),
        ("test_misses_an_error", "killed"),
        ("test_passes", "survived"),
        ("test_waits", "unclear"),
        ("test_is_skipped", "unclear"),
        ("test_is_not_set_up", "unclear"),
        ("test_that_is_not_there", "unclear"),
    ],
)
def test_verdict_says_how_the_test_ended(outcomes: list[Outcome], test: str, word: str) -> None:
    assert verdict(outcomes, test) == word


def test_error_that_the_table_names_counts(outcomes: list[Outcome]) -> None:
    assert verdict(outcomes, "test_waits", raises="TimeoutError") == "killed"


def test_every_test_of_a_mutation_has_to_fail(outcomes: list[Outcome]) -> None:
    assert verdict(outcomes, "test_fails", "test_misses_an_error") == "killed"
    assert verdict(outcomes, "test_fails", "test_passes") == "survived"


def test_what_ended_before_any_test_kills_nothing(tmp_path: Path) -> None:
    assert verdict(read_outcomes(tmp_path / "report"), "test_fails") == "unclear"
