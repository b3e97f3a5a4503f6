"""Content packages: everything that the domain offers."""

from persistence.packages.store import PackageStore
from server.domains.contract import Domain, Job
from server.domains.interfaces import Authenticator
from server.domains.progression.packages.http import PackageRoutes, PackageServing
from server.domains.progression.packages.jobs import PackageMaintenance
from server.domains.progression.packages.service import ManifestService, make_service, make_signer
from server.domains.progression.packages.settings import PackageSettings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(PackageSettings)
    store = PackageStore(services.database, services.rls)
    manifests = ManifestService(store, services.subscriptions)
    service = make_service(services, settings, changed=manifests.announce)
    routes = PackageRoutes(service=service, store=store, manifests=manifests)
    serving = PackageServing(
        service=service,
        store=store,
        objects=services.objects,
        manifests=manifests,
        authenticate=services.interfaces.get(Authenticator).authenticate,
        bytes_max=settings.content_package_bytes_max,
    )
    maintenance = PackageMaintenance(
        store=store,
        objects=services.objects,
        signer=make_signer(services, settings),
        manifests=manifests,
        clock=services.clock,
        delta_bytes_max=settings.content_delta_bytes_max,
    )
    return Domain(
        name="packages",
        settings=PackageSettings,
        endpoints=routes.endpoints(),
        mounts=[serving.add_to],
        metrics=[
            MetricsCollector(
                gauges=[
                    MetricSource(
                        "content_packages",
                        "Packages that are released.",
                        lambda: manifests.catalog.released,
                    )
                ],
                counters=[
                    MetricSource(
                        "content_manifests", "Manifests sent.", lambda: manifests.answered
                    ),
                    MetricSource(
                        "content_deltas", "Deltas made here.", lambda: maintenance.deltas_made
                    ),
                ],
            )
        ],
        start=[manifests.refresh_catalog],
        jobs=[Job("content", maintenance.run)],
    )
