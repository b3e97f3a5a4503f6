"""The steps of the Dockerfile, one by one, without a container runtime: what they make serves."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.fixtures.ports import free_port
from tests.fixtures.postgres import TEMPLATE, Databases

ROOT: Final = Path(__file__).parents[3]
DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
START_TIMEOUT_S: Final = 60
STOP_TIMEOUT_S: Final = 40


class Step(NamedTuple):
    """One instruction of a Dockerfile."""

    name: str
    argument: str


def steps() -> list[Step]:
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [Step(*line.split(None, 1)) for line in lines]


def copy_context(to: Path) -> None:
    """Copy what .dockerignore lets through: nothing but what is listed with a `!`."""
    patterns = (ROOT / ".dockerignore").read_text().split()
    assert patterns[0] == "*"
    hidden = [each.removeprefix("**/") for each in patterns[1:] if not each.startswith("!")]
    assert hidden == ["__pycache__", "docs/images"], "the one anywhere, the other there"

    def ignored(folder: str, names: list[str]) -> set[str]:
        inside = Path(folder).relative_to(ROOT)
        return {name for name in names if name == hidden[0] or str(inside / name) == hidden[1]}

    for allowed in (each[1:] for each in patterns if each.startswith("!")):
        source, target = ROOT / allowed, to / allowed
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)


def test_every_step_is_one_that_is_known_here() -> None:
    known = {"FROM", "ENV", "WORKDIR", "RUN", "COPY", "USER", "EXPOSE", "VOLUME", "STOPSIGNAL"}
    assert {step.name for step in steps()} <= known | {"HEALTHCHECK", "ENTRYPOINT", "CMD"}


@pytest.mark.long("installs everything from the registry")
def test_what_the_steps_install_serves_and_writes_to_its_data_folder_alone(
    databases: Databases, tmp_path: Path
) -> None:
    context, installed = tmp_path / "build", tmp_path / "opt"
    context.mkdir()
    copy_context(context)
    made = steps()
    build = made[: next(n for n, step in enumerate(made) if n and step.name == "FROM")]
    for step in build:
        if step.name == "RUN":
            command = step.argument.replace("/opt/playhall", str(installed))
            subprocess.run(command, shell=True, check=True, cwd=context, stderr=subprocess.DEVNULL)
    shutil.rmtree(context)  # the second stage has no more than what was installed
    before = modified(installed)

    arguments = {step.name: step.argument for step in made}
    assert arguments["ENTRYPOINT"] == '["playhall"]'
    port = free_port()
    _, _, command = arguments["HEALTHCHECK"].partition("CMD ")
    probe = [part.replace("8080", str(port)) for part in json.loads(command)]
    dsn = databases.create(template=TEMPLATE)
    environment = {
        "PATH": f"{installed}/bin:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",  # as in the image
        "PLAYHALL_DATA_DIR": str(tmp_path / "data"),
        "PLAYHALL_PORT": str(port),
        "PLAYHALL_DATABASE_URL": databases.serving_dsn(dsn),
        "PLAYHALL_SECRET_KEYS": "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    }
    node = subprocess.Popen([installed / "bin" / "playhall", "serve"], env=environment, cwd="/")
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while subprocess.run(
            probe, env=environment, check=False, stderr=subprocess.DEVNULL
        ).returncode:
            assert node.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 200
        node.terminate()
        assert node.wait(STOP_TIMEOUT_S) == 0
    finally:
        node.kill()
        node.wait()
        databases.drop(dsn)
    assert modified(installed) == before


def modified(folder: Path) -> dict[str, int]:
    """Say when each file and folder was last changed."""
    return {str(path): path.lstat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
