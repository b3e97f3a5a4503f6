"""A pytest plugin for `tools.mutations`: writes down how each test ended.

One line of JSON for each test to the file that `PLAYHALL_MUTATION_REPORT` names: the test,
`passed`, `failed`, `error` (before or after the test itself) or `skipped`, and the class of what
was raised.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

REPORT: Final = "PLAYHALL_MUTATION_REPORT"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note each call of a test, and each failure around one."""
    report: pytest.TestReport = yield  # type: ignore[misc,assignment]  # as wrappers are typed
    outcome = report.outcome
    if report.when != "call":
        if report.passed:
            return report  # type: ignore[return-value]
        outcome = "error" if report.failed else "skipped"  # type: ignore[assignment]
    raised = "" if call.excinfo is None else call.excinfo.type.__name__
    line = json.dumps({"test": item.nodeid, "outcome": outcome, "raised": raised})
    with Path(os.environ[REPORT]).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    return report  # type: ignore[return-value]
