"""Look up every locked package among the known vulnerabilities: `make audit`.

pip-audit is fetched for the occasion. By itself it calls a package that its source knows nothing of
"skipped", and succeeds: here nothing counts as audited that was not looked up.

Exit status: 0 nothing is known, 1 there are vulnerabilities, 2 it could not be found out.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

PIP_AUDIT: Final = "pip-audit==2.10.1"
TIMEOUT_S: Final = 900
CLEAN, VULNERABLE, UNKNOWN = 0, 1, 2


class Verdict(NamedTuple):
    """What came of an audit: an exit status, and what to say."""

    status: int
    text: str


def audit(uv: str, service: str, locks: list[str]) -> Verdict:
    """Audit lock files against an advisory service: `pypi` or `osv`."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        files = [part for lock in locks for part in ("-r", lock)]
        command = [
            *(uv, "tool", "run", "--quiet", "--from", PIP_AUDIT, "pip-audit"),
            *("--vulnerability-service", service, "--disable-pip", "--require-hashes"),
            *("--progress-spinner", "off", "--format", "json", "--output", str(report), *files),
        ]
        try:
            done = subprocess.run(  # noqa: S603 - of our own words
                command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return _unknown(service, f"no answer within {TIMEOUT_S} s")
        if not report.exists():
            return _unknown(service, _last_line(done.stderr))
        return verdict(json.loads(report.read_text("utf-8")), service)


def verdict(report: dict[str, Any], service: str) -> Verdict:
    """Judge a report of pip-audit."""
    packages = {(found["name"], found.get("version")): found for found in report["dependencies"]}
    vulnerable = [
        f"{name} {version}: {weakness['id']}"
        + (f", fixed in {', '.join(fixed)}" if (fixed := weakness.get("fix_versions")) else "")
        for (name, version), found in sorted(packages.items(), key=str)
        for weakness in found.get("vulns", ())
    ]
    if vulnerable:
        return Verdict(VULNERABLE, "\n".join(vulnerable))
    skipped = [found for found in packages.values() if "skip_reason" in found]
    if skipped or not packages:
        missing = f"{len(skipped)} of {len(packages)} packages are not known there"
        return _unknown(service, missing)
    return Verdict(CLEAN, f"No known vulnerabilities in {len(packages)} locked packages.")


def _unknown(service: str, why: str) -> Verdict:
    return Verdict(
        UNKNOWN,
        f"The lock files could not be audited against {service} ({why}); "
        "run this on a machine that reaches pypi.org, or with SERVICE=osv api.osv.dev.",
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "pip-audit said nothing"


if __name__ == "__main__":
    status, text = audit(sys.argv[1], sys.argv[2], sys.argv[3:])
    print(text, file=sys.stderr if status else sys.stdout)
    sys.exit(status)
