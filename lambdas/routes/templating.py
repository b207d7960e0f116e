"""What the routes about Nomad jobs and their templates work with, beside what all routes do."""

from __future__ import annotations

from lambdas.children import Children
from lambdas.launching import Launching
from lambdas.registering import Registering
from lambdas.routes import writing
from lambdas.routes.services import Services


def children(services: Services, site: str) -> Children:
    """The children of a site's templates."""
    return Children(
        writing.submitting(services, site), services.specifications(site), services.templates
    )


def registering(services: Services, site: str) -> Registering:
    """Takes Nomad jobs for a site."""
    return Registering(children(services, site))


def launching(services: Services, site: str) -> Launching:
    """The launches of a site's periodic jobs."""
    return Launching(children(services, site), services.clock, lambda _job, _reason: None)
