"""Checking one game from its first event to its statistics."""

from collections.abc import Callable, Mapping, Sequence

from persistence.eventlog.completion import Completion
from persistence.games.model import StoredGame
from server.domains.play.games.recorder import RecordedEvent
from server.gamekit.fold import AnyRuleset, Fold
from server.ops.audit import checks
from server.ops.audit.evidence import Conclusions, Evidence, Stated, origin_of, read_log
from server.ops.audit.findings import Broken, Finding, NotChecked, Report
from server.ops.audit.replay_check import ReplayCheck

_WANTED = "the rules could not be followed to the end"


def verify(
    evidence: Evidence, rulesets: Mapping[str, AnyRuleset], *, partial: bool = False
) -> Report:
    """Make every check that the evidence allows.

    `partial`: a file may end before its game does, which nothing in it can tell from a loss.
    """
    return _Examination(evidence, rulesets, partial=partial).report()


class _Examination:
    """The checks of one game, in order; later ones stand on what earlier ones found."""

    def __init__(
        self, evidence: Evidence, rulesets: Mapping[str, AnyRuleset], *, partial: bool
    ) -> None:
        self._evidence = evidence
        self._partial = partial
        self._rulesets = rulesets
        self._findings: list[Finding] = []
        self._log: Sequence[RecordedEvent] = ()
        self._fold: Fold | None = None

    def report(self) -> Report:
        evidence = self._evidence
        whole = self._check("order", lambda: checks.check_order(evidence))
        self._check("chain", self._chain)
        self._check("seed", lambda: checks.check_seed(evidence, self._log))
        self._check("rules", self._rules if whole else _not_whole)
        if evidence.game is None:
            self._check("end", lambda: checks.check_end(evidence, partial=self._partial))
        if evidence.game is not None and evidence.conclusions is not None:
            self._against(evidence.game, evidence.conclusions)
        if evidence.stated is not None:
            self._against_stated(evidence.stated)
        return Report(evidence.game_id, self._title(), len(evidence.rows), self._findings)

    def _against(self, game: StoredGame, drawn: Conclusions) -> None:
        self._check("game", lambda: checks.check_game(self._evidence, game, log=self._log))
        self._check("summary", lambda: checks.check_summary(drawn, self._concluded()))
        self._check("match", lambda: checks.check_match(game, drawn, completion=self._concluded()))
        self._check("statistics", lambda: checks.check_statistics(self._evidence, drawn))

    def _against_stated(self, stated: Stated) -> None:
        self._check("game", lambda: checks.check_stated(stated, self._log))
        self._check("commands", lambda: self._commands(stated))
        drawn = Conclusions(None, stated.summary, None, (), ())
        self._check("summary", lambda: checks.check_summary(drawn, self._concluded()))

    def _check(self, name: str, check: Callable[[], str]) -> bool:
        try:
            finding = Finding(name, True, check())
        except Broken as broken:
            finding = Finding(name, False, str(broken))
        except NotChecked as why:
            finding = Finding(name, None, f"not checked: {why}")
        self._findings.append(finding)
        return finding.holds is True

    def _chain(self) -> str:
        self._log = read_log(self._evidence.rows)
        return checks.check_chain(self._evidence, self._log)

    def _rules(self) -> str:
        origin = origin_of(self._evidence, self._log, rulesets=self._rulesets)
        again = ReplayCheck(origin, self._log)
        self._fold = again.run()
        if not again.tells_moves:
            name = origin.ruleset.name
            return f"{len(self._log)} events fold; {name} does not report its moves"
        return f"{len(self._log)} events match what {origin.ruleset.title} gives for this seed"

    def _commands(self, stated: Stated) -> str:
        if self._fold is None:
            raise NotChecked(_WANTED)
        return checks.check_commands(stated, self._fold.origin, log=self._log)

    def _concluded(self) -> Completion | None:
        if self._fold is None:
            raise NotChecked(_WANTED)
        return checks.concluded(self._evidence, self._fold)

    def _title(self) -> str:
        created = self._log[0].event.payload if self._log else {}
        return f"{created.get('ruleset', 'unknown')} {created.get('ruleset_version', '')}".strip()


def _not_whole() -> str:
    raise NotChecked("the log is not whole")
