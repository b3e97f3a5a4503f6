"""Games that were left in the middle: what it takes to come back to them, kept in a folder."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

# The oldest are forgotten; a refresh token is good for weeks, not for ever.
SAVED_MAX: Final = 32


class SavedGame(BaseModel):
    """One game, and its player's way back in: `names` are the players' by their ids."""

    model_config = ConfigDict(extra="forbid")

    url: str
    ruleset: str
    game_id: str
    refresh_token: str
    names: dict[str, str]


class SavedGameFolder:
    """The folder; only its owner can read what is in it."""

    def __init__(self, folder: Path | None = None) -> None:
        self._given = folder

    @property
    def _folder(self) -> Path:
        return self._given or _state_folder() / "playhall" / "games"

    def save(self, game: SavedGame) -> None:
        """Write a game down, in place of what was kept of it; raise `OSError`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(game.game_id)
        new = path.with_suffix(f".{os.getpid()}.new")  # another player of it may be here, too
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(game.model_dump_json())
            file.flush()
            os.fsync(file.fileno())  # before the rename: otherwise a crash may leave it empty
        new.replace(path)
        by_age = sorted(self._folder.glob("*.json"), key=lambda saved: saved.stat().st_mtime)
        for old in by_age[:-SAVED_MAX]:
            old.unlink(missing_ok=True)

    def find(self, game_id: str) -> SavedGame | None:
        """Read a game; None where nothing (of use) is kept of it."""
        try:
            return SavedGame.model_validate_json(self._path(game_id).read_bytes())
        except (OSError, ValidationError):
            return None

    def delete(self, game_id: str) -> None:
        """Delete a game that nobody comes back to; harmless if it is not there."""
        with suppress(OSError):
            self._path(game_id).unlink()

    def _path(self, game_id: str) -> Path:
        return self._folder / f"{Path(game_id).name}.json"


def _state_folder() -> Path:
    """Find where programs keep such things (XDG base directories)."""
    named = os.environ.get("XDG_STATE_HOME", "")
    try:
        return Path(named) if named else Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, "there is no home folder") from error
