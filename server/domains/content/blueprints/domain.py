"""Blueprints: everything that the domain offers."""

from persistence.blueprints.store import BlueprintRuleStore, BlueprintStore, InvalidNamePattern
from persistence.errors import StartRefused
from server.domains.content.blueprints.http import BlueprintRoutes
from server.domains.content.blueprints.model import NameRule, example_from_help
from server.domains.content.blueprints.settings import BlueprintSettings
from server.domains.contract import Domain
from server.domains.interfaces import StoredFiles
from server.domains.services import Services


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(BlueprintSettings)
    files = services.interfaces.get(StoredFiles)
    routes = BlueprintRoutes(
        store=BlueprintStore(services.rls),
        missing=files.find_missing,
        naming=NameRule(settings.blueprint_name_help, settings.blueprint_capacity_per_version),
    )

    async def start() -> None:
        await store_name_rule(BlueprintRuleStore(services.database), settings)

    return Domain(
        name="blueprints", settings=BlueprintSettings, endpoints=routes.endpoints(), start=[start]
    )


async def store_name_rule(store: BlueprintRuleStore, settings: BlueprintSettings) -> None:
    """Have the database hold new names to the settings; raise `StartRefused`."""
    example = example_from_help(settings.blueprint_name_help)
    try:
        await store.set_name_pattern(settings.blueprint_name_pattern, example=example)
    except InvalidNamePattern as error:
        raise StartRefused(
            f"PLAYHALL_BLUEPRINT_NAME_PATTERN {error}; correct it. It must accept the example at "
            "the end of PLAYHALL_BLUEPRINT_NAME_HELP."
        ) from None
