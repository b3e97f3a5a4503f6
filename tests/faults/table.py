"""What a run of the faults survived, in figures.

A test reports figures through the `figures` fixture; they travel with its report, also from
the workers of a parallel run, and are printed at the end.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, MutableSequence
from statistics import median

FIGURE = "figure"
Property = tuple[str, object]


class Figures:
    """The figures of one test."""

    def __init__(self, properties: MutableSequence[Property]) -> None:
        self._properties = properties

    def count(self, name: str, number: int = 1) -> None:
        """Add to a total: `kills survived`."""
        self._properties.append((FIGURE, ["count", name, number]))

    def measure(self, name: str, value: float, unit: str = "s") -> None:
        """Add one measurement, of which the median and the worst are printed."""
        self._properties.append((FIGURE, ["measure", f"{name}, {unit}", value]))


def lines(properties: Iterable[Property]) -> Iterator[str]:
    """Draw the table."""
    counts: dict[str, int] = defaultdict(int)
    measures: dict[str, list[float]] = defaultdict(list)
    for name, figure in properties:
        if name == FIGURE and isinstance(figure, list | tuple):
            kind, what, value = figure
            if kind == "count":
                counts[what] += value
            else:
                measures[what].append(value)
    for what, total in sorted(counts.items()):
        yield f"{what:<56} {total:>10,}"
    for what, values in sorted(measures.items()):
        yield (
            f"{what:<56} {median(values):>10.2f} median {max(values):>10.2f} worst of {len(values)}"
        )
