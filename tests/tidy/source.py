"""The project's own modules, as the tidy tests read them."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "protocol",
    "persistence",
    "migrations",
    "server",
    "loadtest",
    "clients/python/playhall",
)


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@cache
def trees() -> dict[str, ast.Module]:
    """Map each module's dotted name to its syntax tree."""
    return {_dotted(path): ast.parse(path.read_text()) for path in modules()}


def _dotted(path: Path) -> str:
    inside = path.relative_to(ROOT).with_suffix("")
    client = Path("clients/python")
    inside = inside.relative_to(client) if inside.is_relative_to(client) else inside
    return ".".join(inside.parts).removesuffix(".__init__")
