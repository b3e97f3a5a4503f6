"""The table of mutations fits the tree: `make mutants`, which takes long, would say so too late."""

import ast

import pytest

from tests.tidy.source import ROOT
from tools.mutations import PAGE, Mutation, Unfit, draw_page, read_table

MUTATIONS = read_table()


def name(mutation: Mutation) -> str:
    return mutation.name


@pytest.mark.parametrize("mutation", MUTATIONS, ids=name)
def test_mutation_fits_its_file_and_leaves_a_program(mutation: Mutation) -> None:
    source = (ROOT / mutation.path).read_text()
    mutated = mutation.apply(source)
    assert mutated != source
    if mutation.path.endswith(".py"):
        ast.parse(mutated)


def test_text_that_is_not_there_once_is_refused_with_a_sentence() -> None:
    with pytest.raises(Unfit, match="occurs 0 times"):
        MUTATIONS[0].apply("")
    with pytest.raises(Unfit, match="occurs 2 times"):
        MUTATIONS[0].apply(MUTATIONS[0].old * 2)


@pytest.mark.parametrize("test", sorted({test for each in MUTATIONS for test in each.tests}))
def test_test_of_a_mutation_is_there(test: str) -> None:
    path, _, function = test.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    names = [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert function.partition("[")[0] in names


def test_every_promise_has_mechanisms() -> None:
    promises = (
        (ROOT / "docs/explanation/durability.md").read_text().partition("\n\nNot guaranteed")[0]
    )
    numbers = {int(line[0]) for line in promises.splitlines() if line[:1].isdecimal()}
    assert {mutation.promise for mutation in MUTATIONS} == numbers


def test_page_of_mechanisms_is_that_of_the_table() -> None:
    assert PAGE.read_text() == draw_page(MUTATIONS), "run `python -m tools.mutations --markdown`"
