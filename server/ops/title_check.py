"""Whether the domains of title packages can be served, said before the database is touched.

The domains are built and mounted once on a server that is never opened: what `build` does happens
twice in a process that serves.
"""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from inspect import iscoroutinefunction

from aiohttp.web import UrlDispatcher

from persistence.database import Database
from persistence.errors import StartRefused
from persistence.rls import RlsDatabase
from protocol.asyncapi import asyncapi_document
from protocol.catalog import COMMANDS
from protocol.envelope import type_of
from protocol.schemas import SchemaNameTaken
from server.app import App
from server.config import Config
from server.core.clock import Clock
from server.core.settings import SettingsReader
from server.core.tasks import Tasks
from server.domains.contract import Domain
from server.domains.services import Services
from server.gamekit.checking import describe_failure
from server.gamekit.fold import AnyRuleset
from server.gateway.http.endpoints import Endpoint
from server.gateway.http.openapi import PLACEHOLDER, openapi_document
from server.gateway.session.sessions import CommandRoute
from server.titles import TitlePackage
from server.version import VERSION
from server.web.pages import PAGES


def check_titles(
    config: Config,
    settings: SettingsReader,
    rulesets: Mapping[str, AnyRuleset],
    titles: Sequence[TitlePackage],
) -> None:
    """Raise `StartRefused` for the first package whose domain cannot be served."""
    asyncio.run(_check(config, settings, rulesets, titles))


async def _check(
    config: Config,
    settings: SettingsReader,
    rulesets: Mapping[str, AnyRuleset],
    titles: Sequence[TitlePackage],
) -> None:
    database = Database.unopened()
    built: list[tuple[TitlePackage, Domain]] = []
    async with Tasks() as tasks:
        app = App(
            Services(
                config,
                database,
                RlsDatabase(database),
                "node",
                Clock(),
                tasks,
                rulesets,
                titles=[partial(_build, title, built) for title in titles],
                settings=settings,
            )
        )
        endpoints = app.endpoints()
        metrics = Counter(metric.name for each in app.collectors() for metric in each.collect())
    names = Counter(domain.name for domain in app.domains)
    for title, domain in built:
        _refuse(title, _taken(domain, names, metrics, endpoints))
    _check_documents(endpoints)


def _build(title: TitlePackage, built: list[tuple[TitlePackage, Domain]], base: Services) -> Domain:
    try:
        domain = title.build(base)
    except StartRefused:
        raise
    except Exception as error:
        why = describe_failure(error, title.file.parent)
        raise StartRefused(f"{title.file}: build(services) fails: {why}.") from error
    _refuse(title, _problems(domain, title.build.__module__.rpartition(".")[0] + "."))
    built.append((title, domain))
    return domain


def _refuse(title: TitlePackage, problems: Iterator[str]) -> None:
    if problem := next(problems, None):
        raise StartRefused(f"{title.file}: {problem}.")


def _problems(domain: object, package: str) -> Iterator[str]:
    """Say what is wrong with a domain, whatever the others are."""
    if not isinstance(domain, Domain):
        yield f"build(services) returns {type(domain).__name__}; return a Domain"
        return
    for command, route in domain.commands.items():
        name = type_of(command)
        if COMMANDS.get(name) is not command:
            yield f"{name} has a CommandRoute, but is not in COMMANDS; add it there, in wire.py"
        if not command.__module__.startswith(package):
            yield f"{name} has a CommandRoute, but is another domain's command; remove that"
        yield from _route_problems(name, route)
    for name, command in COMMANDS.items():
        if command.__module__.startswith(package) and command not in domain.commands:
            yield f"{name} is in COMMANDS, but has no CommandRoute; add one to Domain.commands"
    for endpoint in domain.endpoints:
        try:
            UrlDispatcher().add_resource(endpoint.path)
        except ValueError as error:
            yield (
                f"the path {endpoint.path!r} cannot be used: {error}; write it as "
                "/v1/polls/{poll_id}"
            )
    for kind, listener in domain.listens.items():
        if iscoroutinefunction(listener):
            yield (
                f"the listener to {kind.__name__} is an `async def`; make it a plain function, "
                "which starts what it has to await with services.tasks.start_work"
            )


def _route_problems(name: str, route: CommandRoute) -> Iterator[str]:
    if (route.immediate is None) == (route.awaited is None):
        yield f"the CommandRoute of {name} needs a handler: either `immediate` or `awaited`"
    elif iscoroutinefunction(route.immediate):
        yield f"the handler of {name} is an `async def`; write CommandRoute(awaited=…)"


def _taken(
    domain: Domain,
    names: Mapping[str, int],
    metrics: Mapping[str, int],
    endpoints: Sequence[Endpoint],
) -> Iterator[str]:
    """Say what a domain has that another has already."""
    if names[domain.name] > 1:
        yield f"another domain is called {domain.name!r}; choose another Domain.name"
    for collector in domain.metrics:
        for metric in collector.collect():
            if metrics[metric.name] > 1:
                yield f"there is another metric {metric.name}; choose another name"
    for endpoint in domain.endpoints:
        if (other := _other(endpoint, endpoints)) is not None:
            yield (
                f"{endpoint.method} {endpoint.path} cannot be reached: there is {other} already; "
                "choose another path"
            )


def _other(endpoint: Endpoint, endpoints: Sequence[Endpoint]) -> str | None:
    """Find the address that requests for an endpoint get to, if it is not its own."""
    asked = PLACEHOLDER.sub("x", endpoint.path)
    if endpoint.path in PAGES.values():
        return f"the page {endpoint.path}"
    mine = endpoints.index(endpoint)
    for n, each in enumerate(endpoints):
        if n == mine or each.method != endpoint.method:
            continue
        same = PLACEHOLDER.sub("x", each.path) == asked
        if same or (n < mine and re.fullmatch(_pattern(each.path), asked)):
            return f"{each.method} {each.path}"
    return None


def _pattern(path: str) -> str:
    """Write the regular expression that a path stands for."""
    literal, *rest = PLACEHOLDER.split(path)
    patterns, literals = rest[1::3], rest[2::3]  # without the names
    return re.escape(literal) + "".join(
        f"(?:{pattern or '[^{}/]+'})" + re.escape(each)
        for pattern, each in zip(patterns, literals, strict=True)
    )


def _check_documents(endpoints: Sequence[Endpoint]) -> None:
    """Write both descriptions: what clients cannot be told of is not served."""
    try:
        openapi_document(endpoints, version=VERSION)
        asyncapi_document(version=VERSION)
    except SchemaNameTaken as error:
        files = {
            module.__file__
            for name, module in sys.modules.items()
            if name.startswith("server.titles.")
            and getattr(vars(module).get(error.name), "__module__", "") == name
        }
        where = ", ".join(sorted(filter(None, files))) or "a title package"
        raise StartRefused(f"{where}: {error}; choose another name.") from error
