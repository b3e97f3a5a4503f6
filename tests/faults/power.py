"""What a power failure leaves of a folder, worked out from the journal that `power.c` writes.

A disk keeps what was synced and may keep anything else. Two ways to fail are tried:

    LOST    names and contents that were not synced are gone
    TORN    names are there, and files hold only what was synced: a rename that came too early

Only what was synced may be counted on, so these two are the worst cases.
"""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("power.c")
COMPILER: Final = shutil.which("cc") or shutil.which("gcc")
LOST, TORN = "lost", "torn"

Operation = Sequence[str]
# The files of a folder by their path in it; None is a folder.
Image = dict[str, bytes | None]


def build_shim(folder: Path) -> Path:
    """Compile the library that keeps the journal."""
    assert COMPILER is not None
    shim = folder / "power.so"
    flags = ("-shared", "-fPIC", "-O1", "-o", str(shim), str(SOURCE), "-ldl", "-lpthread")
    subprocess.run([COMPILER, *flags], check=True)
    return shim


class Journal:
    """What a process did to files below a folder, so far."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __len__(self) -> int:
        return len(self.operations())

    def operations(self) -> list[Operation]:
        if not self.file.exists():
            return []
        return [line.split("\t") for line in self.file.read_text().splitlines()]


@dataclass
class Content:
    """A file's bytes: as programs see them, and as they are on the disk."""

    seen: bytes = b""
    synced: bytes = b""


@dataclass
class Disk:
    """A folder, as programs see it and as it is on the disk. It is empty, and synced, at first."""

    root: Path
    contents: dict[str, Content] = field(default_factory=dict)
    seen: dict[Path, Content | None] = field(default_factory=dict)
    synced: dict[Path, Content | None] = field(default_factory=dict)

    def do(self, operation: Operation) -> None:
        """Take in the next operation."""
        match operation:
            case ["create", path, inode]:
                self.contents[inode] = self.seen[Path(path)] = Content()
            case ["write", inode, offset, data] if inode in self.contents:
                content, at, new = self.contents[inode], int(offset), bytes.fromhex(data)
                content.seen = (
                    content.seen[:at].ljust(at, b"\0") + new + content.seen[at + len(new) :]
                )
            case ["truncate", inode, size] if inode in self.contents:
                content = self.contents[inode]
                content.seen = content.seen[: int(size)].ljust(int(size), b"\0")
            case ["sync", inode] if inode in self.contents:
                self.contents[inode].synced = self.contents[inode].seen
            case ["sync folder", path]:
                self._sync_folder(Path(path))
            case ["rename", old, new]:
                self.seen[Path(new)] = self.seen.pop(Path(old))
            case ["link", old, new]:
                self.seen[Path(new)] = self.seen[Path(old)]
            case ["mkdir", path]:
                self.seen[Path(path)] = None
            case ["remove", path]:
                self.seen.pop(Path(path), None)

    def _sync_folder(self, folder: Path) -> None:
        kept = {path: each for path, each in self.synced.items() if path.parent != folder}
        kept |= {path: each for path, each in self.seen.items() if path.parent == folder}
        self.synced = kept

    def after_failure(self, kind: str) -> Image:
        """Say what is there when the power is back."""
        names = self.synced if kind == LOST else self.seen
        image: Image = {}
        for path in sorted(names):
            above = path.relative_to(self.root).parents
            if all(self.root / each in names for each in above if each != Path()):
                content = names[path]
                inside = str(path.relative_to(self.root))
                image[inside] = None if content is None else content.synced
        return image


def disk_after(operations: Sequence[Operation], root: Path) -> Disk:
    """Give the disk as it is after some operations."""
    disk = Disk(root)
    for operation in operations:
        disk.do(operation)
    return disk


def write_image(image: Image, root: Path) -> None:
    """Make a folder what a power failure left of it; PostgreSQL's own stays as it is."""
    root.mkdir(mode=0o700, exist_ok=True)
    for path in root.iterdir():
        if path.name == "postgres":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name, content in image.items():
        path = root / name
        if content is None:
            path.mkdir(mode=0o700, exist_ok=True)
        else:
            path.write_bytes(content)
