"""`playhall loadtest`: put a load on a server, and check everything that comes back."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from loadtest.epochs.latency import merge_epoch_measurements
from loadtest.measure import Measurements, Progress
from loadtest.players import KINDS
from loadtest.players.kind import RulesetPlayer, make_generic_player
from loadtest.processes import ScenarioFailed, merge_measurements, run_scenarios
from loadtest.report import Report, format_json, format_number, make_report, print_report
from loadtest.report_page import render_page
from loadtest.scenarios import progression as progression_scenario
from loadtest.scenarios import social as social_scenario
from loadtest.scenarios.epoch import EpochScenario
from loadtest.scenarios.idle import IdleScenario
from loadtest.scenarios.lobby import LobbyScenario
from loadtest.scenarios.matches import MatchesScenario
from loadtest.scenarios.progression import Progression
from loadtest.scenarios.realtime import RealtimeScenario
from loadtest.scenarios.relay import RelayScenario
from loadtest.scenarios.scenario import Barrier, Scenario, Shard
from loadtest.scenarios.signaling import SignalingScenario
from loadtest.scenarios.social import SocialScenario
from loadtest.simulation.player import PlayerHabits
from playhall.errors import ClientError
from playhall.http import HttpClient

app = typer.Typer(
    help="Simulate players, measure the server, and check everything they see.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Url = Annotated[str, typer.Option(help="The server.")]
Duration = Annotated[float, typer.Option(min=0.1, help="Seconds of full load.")]
RampUp = Annotated[float, typer.Option(min=0, help="Seconds of ramp-up, which are not measured.")]
Processes = Annotated[
    int, typer.Option(min=1, max=64, help="Number of processes that share the load.")
]
Json = Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")]
Html = Annotated[Path | None, typer.Option("--html", help="Write the report as a page.")]
SampleSize = Annotated[int, typer.Option(min=0, help="Games to read over HTTP and compare.")]

PEER_MESSAGES_PER_S = (
    80.0  # a server closes peers that send more than 100, unless configured otherwise
)
HERE = "http://127.0.0.1:8080"


@app.command()
def matches(
    url: Url = HERE,
    ruleset: Annotated[str, typer.Option(help="Any ruleset of the server.")] = "el_dorado",
    players: Annotated[int | None, typer.Option(min=1, max=64, help="Players per game.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Concurrent games.")] = 100,
    games: Annotated[int | None, typer.Option(min=1, help="Total number of games.")] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.1, help="Alternatively, seconds to run.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, max=10, help="Rounds of El Dorado.")] = None,
    think: Annotated[float, typer.Option(min=0, help="Maximum pause before a move, in ms.")] = 0,
    misplays: Annotated[float, typer.Option(min=0, max=1, help="Share of illegal moves.")] = 0,
    ramp_up: RampUp = 0,
    processes: Processes = 1,
    sample: SampleSize = 100,
    json_file: Json = None,
    html_file: Html = None,
) -> None:
    """Play complete games by the rules, one after another."""
    kind = _kind(url, ruleset)
    if games is None and duration is None:
        games = concurrency
    concurrency = min(concurrency, games) if games is not None else concurrency
    shares = [
        MatchesScenario(
            shard=shard,
            kind=kind,
            players=players or kind.seats,
            concurrency=concurrency,
            games=games,
            duration_s=duration,
            ramp_up_s=ramp_up,
            habits=PlayerHabits(think_s=think / 1000, misplays=misplays),
            config={} if rounds is None else {"rounds": rounds},
            sample=sample,
        )
        for shard in _shards(url, min(processes, concurrency))
    ]
    _run("matches", shares, json_file, html_file)


@app.command()
def relay(
    url: Url = HERE,
    rooms: Annotated[int, typer.Option(min=1, help="Concurrent games.")] = 50,
    players: Annotated[int, typer.Option(min=1, max=64, help="Players per game.")] = 4,
    window: Annotated[int, typer.Option(min=1, max=60, help="Messages in flight per player.")] = 4,
    payload_bytes: Annotated[
        int, typer.Option(min=40, max=16_000, help="Size of a message.")
    ] = 250,
    duration: Duration = 10,
    ramp_up: RampUp = 1,
    processes: Processes = 1,
    sample: SampleSize = 10,
    json_file: Json = None,
    html_file: Html = None,
) -> None:
    """Send messages through relay games: ordered, logged, committed and sent to all players."""
    shares = [
        RelayScenario(
            shard=shard,
            rooms=rooms,
            players=players,
            window=window,
            payload_bytes=payload_bytes,
            duration_s=duration,
            ramp_up_s=ramp_up,
            sample=sample,
        )
        for shard in _shards(url, min(processes, rooms))
    ]
    _run("relay", shares, json_file, html_file)


@app.command()
def realtime(
    url: Url = HERE,
    rooms: Annotated[int, typer.Option(min=1, help="Concurrent games.")] = 20,
    players: Annotated[int, typer.Option(min=1, max=8, help="Players per game.")] = 8,
    inputs_per_s: Annotated[
        float, typer.Option(min=0.1, max=60, help="Inputs per second of each player.")
    ] = 5,
    duration: Duration = 10,
    ramp_up: RampUp = 1,
    processes: Processes = 1,
    sample: SampleSize = 10,
    json_file: Json = None,
    html_file: Html = None,
) -> None:
    """Play the arena in real time; reply times are from an input to the view that has it."""
    shares = [
        RealtimeScenario(
            shard=shard,
            rooms=rooms,
            players=players,
            inputs_per_s=inputs_per_s,
            duration_s=duration,
            ramp_up_s=ramp_up,
            sample=sample,
        )
        for shard in _shards(url, min(processes, rooms))
    ]
    _run("realtime", shares, json_file, html_file)


@app.command()
def signaling(
    url: Url = HERE,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of peers.")] = 100,
    window: Annotated[int, typer.Option(min=1, max=60, help="Messages in flight per peer.")] = 4,
    payload_bytes: Annotated[int, typer.Option(min=0, max=16_000, help="Size of a message.")] = 250,
    duration: Duration = 10,
    ramp_up: RampUp = 1,
    processes: Processes = 1,
    messages_per_s: Annotated[
        float, typer.Option(min=0, help="Maximum rate of a peer; 0: as fast as it is answered.")
    ] = PEER_MESSAGES_PER_S,
    path: Annotated[str, typer.Option(help="Path of the signaling endpoint.")] = "/peerjs",
    key: Annotated[str, typer.Option(help="PeerJS key.")] = "peerjs",
    json_file: Json = None,
    html_file: Html = None,
) -> None:
    """Relay messages between PeerJS peers; also works with a PeerJS server."""
    shares = [
        SignalingScenario(
            shard=shard,
            pairs=pairs,
            window=window,
            payload_bytes=payload_bytes,
            duration_s=duration,
            ramp_up_s=ramp_up,
            path=path,
            key=key,
            messages_per_s=messages_per_s,
        )
        for shard in _shards(url, min(processes, pairs))
    ]
    _run("signaling", shares, json_file, html_file)


@app.command()
def idle(
    url: Url = HERE,
    connections: Annotated[int, typer.Option(min=1, help="Connections to hold.")] = 1000,
    duration: Duration = 5,
    pid: Annotated[
        int | None, typer.Option(help="Process id of the server, on this machine.")
    ] = None,
    processes: Processes = 1,
    json_file: Json = None,
    html_file: Html = None,
) -> None:
    """Hold idle connections and measure what each costs the server."""
    shares = [
        IdleScenario(shard=shard, connections=connections, duration_s=duration, pid=pid)
        for shard in _shards(url, min(processes, connections))
    ]
    _run("idle", shares, json_file, html_file)


@app.command()
def lobby(
    url: Url = HERE,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of a host and a guest.")] = 50,
    duration: Duration = 10,
    ruleset: Annotated[str, typer.Option(help="Ruleset of the lobbies.")] = "el_dorado",
    processes: Processes = 1,
    json_file: Json = None,
    html_file: Html = None,
) -> None:
    """Create, list, join, leave and close lobbies, as fast as the server answers."""
    shares = [
        LobbyScenario(shard=shard, pairs=pairs, duration_s=duration, ruleset=ruleset)
        for shard in _shards(url, min(processes, pairs))
    ]
    _run("lobby", shares, json_file, html_file)


@app.command()
def epoch(
    url: Url = HERE,
    epoch: Annotated[str, typer.Option(help="An id, a date, or `current`.")] = "current",
    watchers: Annotated[int, typer.Option(min=1, help="Connections that follow the day.")] = 100,
    bots: Annotated[
        Path | None, typer.Option(help="File of bot tokens, one per line, for claims.")
    ] = None,
    claims_per_s: Annotated[
        float, typer.Option(min=0, help="Claims per second, all bots together.")
    ] = 1,
    voters: Annotated[
        Path | None, typer.Option(help="File of access tokens, one per line, for votes.")
    ] = None,
    votes_per_s: Annotated[
        float, typer.Option(min=0, help="Votes per second, all voters together.")
    ] = 2,
    duration: Annotated[
        float,
        typer.Option("--seconds", "--duration", min=0.1, help="How long bots and voters act."),
    ] = 10,
    processes: Processes = 1,
    json_file: Json = None,
    html_file: Html = None,
) -> None:
    """Watch a day of competition in which bots claim and people vote.

    `playhall epoch bots` and `playhall epoch voters` make bots and voters for a rehearsal.
    """
    barrier = Barrier(processes := min(processes, watchers))
    shares = [
        EpochScenario(
            shard=shard,
            watchers=watchers,
            epoch=epoch,
            claims_per_s=claims_per_s,
            votes_per_s=votes_per_s,
            duration_s=duration,
            bots=_tokens(bots, "--bots"),
            voters=_tokens(voters, "--voters"),
            barrier=barrier,
        )
        for shard in _shards(url, processes)
    ]
    _run("epoch", shares, json_file, html_file, add_up=merge_epoch_measurements)


@app.command()
def progression(
    url: Url = HERE,
    players: Annotated[int, typer.Option(min=1, help="Accounts, each with a save slot.")] = 20,
    devices: Annotated[int, typer.Option(min=1, max=10, help="Devices of a player.")] = 2,
    duration: Annotated[
        float, typer.Option("--seconds", "--duration", min=0.1, help="How long they play.")
    ] = 10,
    state_bytes: Annotated[
        int, typer.Option(min=1, max=500_000, help="About how large a state is.")
    ] = 4000,
    events: Annotated[
        int, typer.Option(min=0, max=500, help="Events of telemetry in a batch.")
    ] = 50,
    think: Annotated[
        float, typer.Option(min=0, help="Maximum pause between two rounds, in ms.")
    ] = 200,
    processes: Processes = 1,
    sample: Annotated[
        int, typer.Option(min=0, help="Players whose own data is exported and compared.")
    ] = 10,
    json_file: Json = None,
    html_file: Html = None,
) -> None:
    """Play offline on several devices, sync, report telemetry and fetch content; check it all."""
    shares = [
        Progression(
            shard=shard,
            players=players,
            devices=devices,
            duration_s=duration,
            state_bytes=state_bytes,
            events=events,
            think_s=think / 1000,
            sample=sample,
        )
        for shard in _shards(url, min(processes, players))
    ]
    _run("progression", shares, json_file, html_file, add_up=progression_scenario.gather)


@app.command()
def social(
    url: Url = HERE,
    people: Annotated[
        int, typer.Option(min=2, help="Accounts that have to do with each other.")
    ] = 30,
    duration: Annotated[
        float, typer.Option("--seconds", "--duration", min=0.1, help="How long they do things.")
    ] = 10,
    think: Annotated[
        float, typer.Option(min=0, help="Maximum pause between two things, in ms.")
    ] = 300,
    processes: Processes = 1,
    json_file: Json = None,
    html_file: Html = None,
) -> None:
    """Publish, read, search, like, comment, follow, block and watch; check what everybody sees."""
    shares = [
        SocialScenario(shard=shard, people=people, duration_s=duration, think_s=think / 1000)
        for shard in _shards(url, min(processes, people // 2))
    ]
    _run("social", shares, json_file, html_file, add_up=social_scenario.gather)


def _tokens(file: Path | None, option: str) -> tuple[str, ...]:
    """Read tokens, one a line."""
    if file is None:
        return ()
    try:
        tokens = tuple(filter(None, map(str.strip, file.read_text("utf-8").splitlines())))
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{option}: {file} cannot be read as text ({error}).")
    if not tokens:
        _fail(f"{option}: {file} has no token; `playhall epoch {option[2:]} N` prints some.")
    return tokens


def _kind(url: str, ruleset: str) -> RulesetPlayer:
    """Find who plays a ruleset; one that is not known here is looked up on the server."""
    if ruleset == "relay":
        _fail("--ruleset: a relay has no end of its own; use `loadtest relay`.")
    if ruleset in KINDS:
        return KINDS[ruleset]
    try:
        listed = asyncio.run(_rulesets(url))
    except ClientError as error:
        _fail(str(error))
    if ruleset not in listed:
        _fail(f"--ruleset: {url} has no {ruleset}; it has {', '.join(sorted(listed))}.")
    return make_generic_player(ruleset, seats=listed[ruleset])


async def _rulesets(url: str) -> dict[str, int]:
    """Ask a server for its rulesets, and how many players each needs."""
    async with HttpClient(url) as http:
        listed = await http.get("/v1/rulesets")
    return {ruleset["name"]: ruleset["seats_min"] for ruleset in listed["rulesets"]}


def _shards(url: str, processes: int) -> list[Shard]:
    return [Shard(url, index, processes) for index in range(processes)]


def _run(
    scenario: str,
    shares: Sequence[Scenario],
    json_file: Path | None,
    html_file: Path | None,
    add_up: Callable[[Sequence[Measurements]], Measurements] = merge_measurements,
) -> None:
    """Run a load test and show it; exit with 1 if a check failed."""
    for option, file in (("--json", json_file), ("--html", html_file)):
        if file is not None and not file.parent.is_dir():
            _fail(f"{option}: there is no folder {file.parent}.")
    began_at = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        measured = add_up(_with_bar(scenario, shares))
    except ScenarioFailed as failed:
        _fail(str(failed))
    report = make_report(scenario, measured, began_at=began_at, settings=_settings(shares))
    print_report(report, out)
    _write(report, json_file, html_file)
    if not report.ok:
        raise typer.Exit(1)


def _with_bar(scenario: str, shares: Sequence[Scenario]) -> list[Measurements]:
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Bar(*columns, console=err, transient=True) as bar:
        task = bar.add_task(scenario)

        def progress(parts: list[Progress]) -> None:
            bar.update(task, description=_progress_text(scenario, parts))

        return run_scenarios(shares, progress=progress)


def _progress_text(scenario: str, parts: list[Progress]) -> str:
    done, moves, deliveries = (
        format_number(sum(values)) for values in zip(*(part[1:] for part in parts), strict=True)
    )
    return f"{scenario}: {parts[0].stage} {done}; {moves} moves, {deliveries} deliveries"


def _settings(shares: Sequence[Scenario]) -> dict[str, object]:
    first = shares[0]
    shown = [field for field in fields(first) if field.metadata.get("shown", True)]  # type: ignore[arg-type]  # all shares are dataclasses
    named = {field.name: getattr(first, field.name) for field in shown}
    shard: Shard = named.pop("shard")
    if (kind := named.pop("kind", None)) is not None:
        named = {"ruleset": kind.ruleset, **named}
    texts = {
        name: value if isinstance(value, (int, float, str)) else str(value)
        for name, value in named.items()
    }
    return {"url": shard.url, "processes": shard.of, **texts}


def _write(report: Report, json_file: Path | None, html_file: Path | None) -> None:
    try:
        if json_file is not None:
            json_file.write_bytes(orjson.dumps(format_json(report), option=orjson.OPT_INDENT_2))
        if html_file is not None:
            html_file.write_text(render_page(report), encoding="utf-8")
    except OSError as error:
        _fail(f"The report cannot be written to {error.filename}: {error.strerror}.")


def _fail(sentence: str) -> NoReturn:
    err.print(f"[red]loadtest:[/red] {escape(sentence)}", soft_wrap=True)
    raise typer.Exit(1)
