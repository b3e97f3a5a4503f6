"""Promises that were checked, and where they did not hold."""

from dataclasses import dataclass, field
from typing import Final

FAULTS_KEPT_MAX: Final = 20


@dataclass(slots=True)
class Checked:
    """How often one promise was checked, and what was found where it did not hold."""

    passed: int = 0
    failed: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, fault: str | None) -> None:
        """Note one check: what is wrong, or None."""
        if fault is None:
            self.passed += 1
            return
        self.failed += 1
        if len(self.examples) < FAULTS_KEPT_MAX:
            self.examples.append(fault)

    def add(self, other: "Checked") -> None:
        """Note everything that another one has noted."""
        self.passed += other.passed
        self.failed += other.failed
        self.examples = (self.examples + other.examples)[:FAULTS_KEPT_MAX]


@dataclass(slots=True)
class Checks:
    """Every promise that is checked, by its sentence."""

    by_name: dict[str, Checked] = field(default_factory=dict)

    def note(self, name: str, fault: str | None) -> None:
        """Note one check of a promise: what is wrong, or None."""
        self.by_name.setdefault(name, Checked()).note(fault)

    def add(self, other: "Checks") -> None:
        """Note everything that another one has noted."""
        for name, checked in other.by_name.items():
            self.by_name.setdefault(name, Checked()).add(checked)

    @property
    def failed(self) -> int:
        """How many checks failed."""
        return sum(checked.failed for checked in self.by_name.values())
