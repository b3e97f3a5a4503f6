"""`playhall new-ruleset` writes a small game to begin with; `playhall ruleset test` checks one."""

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from server.gamekit.checking import RulesetRefused
from server.gamekit.conformance import SEED, Failure, Question, find_promises, list_questions
from server.gamekit.fold import AnyRuleset
from server.ops.shell import Shell
from server.rulesets import find_rulesets, load_ruleset
from server.terminal import command_name

SKELETONS: Final = Path(__file__).parent / "skeletons"
# Shorter than a folder's name may be: lobbies name their ruleset in a column of this size.
NEW_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")

NewName = Annotated[str, typer.Argument(help="Name of the game: a-z, 0-9 and _.")]
Parent = Annotated[Path, typer.Option(help="Folder that the game's folder is made in.")]
Simultaneous = Annotated[bool, typer.Option("--simultaneous", help="Everybody moves at once.")]
Realtime = Annotated[bool, typer.Option("--realtime", help="A game in ticks instead of turns.")]
Folder = Annotated[Path, typer.Argument(help="The game's folder, or the name of one of ours.")]
Only = Annotated[str | None, typer.Option(help="Check this promise only.")]
Seats = Annotated[int | None, typer.Option(help="Play with so many seats only.")]
Seed = Annotated[str, typer.Option(help="What the checked games are derived from.")]
Version = Annotated[int | None, typer.Option(help="Check these rules only, kept under `earlier`.")]
Log = Annotated[bool, typer.Option("--log", help="Print the events that led to a failure.")]


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the authors' commands to a command line."""
    commands = _Commands(shell)
    ruleset = typer.Typer(no_args_is_help=True, help="Check rulesets.")
    ruleset.callback()(lambda: None)  # else a group of one command would be that command
    ruleset.command("test")(commands.test)
    app.command("new-ruleset")(commands.new)
    app.add_typer(ruleset, name="ruleset")


class _Commands:
    """The commands; a mistake ends with status 1 and a sentence."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def new(
        self,
        name: NewName,
        folder: Parent = Path(),
        simultaneous: Simultaneous = False,
        realtime: Realtime = False,
    ) -> None:
        """Write a small complete game, to be changed into yours."""
        with self._shell.said_plainly():
            if simultaneous and realtime:
                raise RulesetRefused("Choose one of --simultaneous and --realtime.")
            kind = "simultaneous" if simultaneous else "realtime" if realtime else "turns"
            made = write_skeleton(name, folder, kind=kind)
        here, me = shlex.quote(str(made)), command_name()
        self._out.print(f"Wrote {made}.")
        self._out.print(f"  check it    {me} ruleset test {here}")
        self._out.print(f"  its tests   {shlex.quote(sys.executable)} -m unittest discover {here}")
        self._out.print(
            f"  serve it    PLAYHALL_RULESETS_PATH={shlex.quote(str(made.parent))} {me} serve "
            "--reload-rulesets"
        )
        self._out.print(f"  play it     {me} play --ruleset {name}")

    def test(
        self,
        folder: Folder,
        only: Only = None,
        seats: Seats = None,
        seed: Seed = SEED,
        version: Version = None,
        log: Log = False,
    ) -> None:
        """Check that a ruleset keeps what every ruleset promises."""
        with self._shell.said_plainly():
            ruleset = _load(folder)
            questions = _chosen(ruleset, only=only, seats=seats, version=version)
        failures = [self._ask(question, seed, folder, log=log) for question in questions]
        failed = sum(failure is not None for failure in failures)
        asked = sum(question.exempt is None for question in questions)
        if failed:
            self._out.print(f"\n{ruleset.name} breaks {failed} of {asked} promises.")
            raise typer.Exit(1)
        self._out.print(f"\n{ruleset.name} keeps all {asked} promises.")

    def _ask(self, question: Question, seed: str, folder: Path, *, log: bool) -> Failure | None:
        rules, promise = question.ruleset, question.promise
        of_version = f" (version {rules.version})" if question.is_earlier else ""
        if question.exempt is not None:
            self._out.print(f"skip  {promise.name}{of_version}: {question.exempt}")
            return None
        failure = question.find_failure(seed)
        word = "ok  " if failure is None else "FAIL"
        self._out.print(f"{word}  {promise.name}{of_version}: {promise.sentence}")
        if failure is not None:
            for line in failure.explain(folder).splitlines():
                self._out.print(f"      {line}")
            for line in failure.write_log() if log else ():
                self._out.print(f"      {line}")
        return failure


def _load(folder: Path) -> AnyRuleset:
    """Import the game of a folder; a mere name is one of the games that come with the server."""
    if not folder.exists() and folder.name == str(folder):
        ours = find_rulesets()
        if folder.name in ours:
            return ours[folder.name]
    if not folder.is_dir():
        raise RulesetRefused(f"There is no folder {folder}.")
    return load_ruleset(folder)


def _chosen(
    ruleset: AnyRuleset, *, only: str | None, seats: int | None, version: int | None
) -> Sequence[Question]:
    promises = [promise.name for promise in find_promises(ruleset)]
    if only is not None and only not in promises:
        raise RulesetRefused(f"There is no promise {only}; there are {', '.join(promises)}.")
    if seats is not None and seats not in ruleset.seats:
        raise RulesetRefused(
            f"{ruleset.name} has {ruleset.seats[0]} to {ruleset.seats[-1]} seats, not {seats}."
        )
    if version is not None and ruleset.of_version(version) is None:
        raise RulesetRefused(f"{ruleset.name} has no rules of version {version}.")
    return [
        question
        for question in list_questions(ruleset, seats=() if seats is None else (seats,))
        if only in (None, question.promise.name) and version in (None, question.ruleset.version)
    ]


def write_skeleton(name: str, parent: Path, *, kind: str) -> Path:
    """Write a game of a kind under a name; raise `RulesetRefused`, or `OSError`."""
    if not NEW_NAME.fullmatch(name):
        raise RulesetRefused(
            f"{name!r} cannot be the name of a game; use 1 to 32 of a-z, 0-9 and _, beginning with "
            "a letter."
        )
    if name in find_rulesets():
        raise RulesetRefused(f"Playhall comes with a game called {name}; choose another name.")
    folder = parent / name
    if folder.exists():
        raise RulesetRefused(f"{folder} exists; choose another name, or another --folder.")
    if (parent / "__init__.py").exists():
        raise RulesetRefused(
            f"{parent} is itself a package; choose another --folder for your games."
        )
    words = name.split("_")
    replaced = {
        '"skeleton"': f'"{name}"',
        '"Skeleton"': f'"{" ".join(words).strip().capitalize()}"',
        '"""Skeleton:': f'"""{" ".join(words).strip().capitalize()}:',
        "Skeleton": "".join(word.capitalize() for word in words),
    }
    folder.mkdir(parents=True)
    try:
        for file in ("__init__.py", "test_rules.py.template"):
            text = (SKELETONS / kind / file).read_text()
            for old, new in replaced.items():
                text = text.replace(old, new)
            (folder / file.removesuffix(".template")).write_text(text)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)  # half a game is of no use
        raise
    return folder
