"""Puts it together: an installation, its routes, the guard around them.

`create_app` takes what it needs, so that tests run two installations side by side; `from_environment` is what the server
starts. Run as a module, it prints the OpenAPI document.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp

from service.api import (
    auditors,
    erasures,
    everyone,
    exports,
    labels,
    officers,
    operators,
    partners,
    policies,
    problems,
    replay,
    retention,
    reviews,
    shapes,
)
from service.api.access import require_access, rule_of
from service.api.guard import Guard
from service.api.metrics import Metrics
from service.errors import Broken
from service.settings import Settings
from service.sharing.gate import Clock
from service.sharing.installation import Installation, open_installation, system_clock

_DESCRIPTION: Final = (
    "Partners get what written policy allows, nothing else, and every release is on record. `openapi/README.md` is the guide."
)
_GC_THRESHOLDS: Final = (20_000, 20, 50)
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "client": {"type": "http", "scheme": "basic", "description": "The client's id and secret, which may stand in the form instead"},
}


def create_app(installation: Installation) -> Guard:
    """The application over an installation, with the guard outermost.

    Raises:
        Broken: a route does not state whose it is.
    """
    app = build_routes()
    app.state.installation = installation

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        installation.start()
        try:
            yield
        finally:
            installation.close()

    app.router.lifespan_context = lifespan
    metrics = Metrics()
    app.state.metrics = metrics
    installation.gate.observe(metrics.committed)
    guard = Guard(
        app,
        gate=installation.gate,
        revocation_poll_seconds=installation.settings.revocation_poll_seconds,
        answered=metrics.answered,
    )
    app.state.guard = guard
    return guard


def build_routes() -> FastAPI:
    """All routes, without anything behind them."""
    app = FastAPI(
        title="Entente",
        version="0.1.0",
        description=_DESCRIPTION,
        docs_url=None,  # loads scripts from outside
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    own_side = (
        *(officers.router, labels.router, policies.router),
        *(auditors.router, reviews.router, erasures.router, retention.router, exports.router, replay.router, operators.router),
    )
    for router in (partners.recorded_router, everyone.router, partners.router, *own_side):
        # The routes themselves, not a reference to their router: `require_access` is to see every one as it will be served.
        app.router.routes.extend(router.routes)
    problems.install(app)
    require_access(app)
    return app


def from_environment(*, clock: Clock = system_clock) -> ASGIApp:
    """What the server runs: settings from `ENTENTE_...`. Benchmarks give a clock of their own."""
    app = create_app(open_installation(Settings(), clock=clock))
    _settle_memory()
    return app


def _settle_memory() -> None:
    """Leave what was made at start out of garbage collection, and collect less often.

    Walking modules, models and compiled rows again and again, for garbage that a request does not make, took a fifth of the
    time of a release.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the shapes that only it names."""
    document = app.openapi()
    models = [one for one in vars(shapes).values() if isinstance(one, type) and issubclass(one, BaseModel) and one is not BaseModel]
    named = [one for one in models if not one.__name__.startswith("_")]
    _, definitions = models_json_schema([(one, "serialization") for one in named], ref_template="#/components/schemas/{model}")
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(definitions["$defs"])
    components["securitySchemes"] = _SECURITY
    for route in app.routes:
        rule = rule_of(getattr(route, "endpoint", None))
        if not isinstance(route, APIRoute) or rule is None:
            raise Broken(f"route `{route}` does not state whose it is")
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            operation["tags"] = [rule.access.role or "everyone"]
            operation["security"] = [{"bearer": []}] if rule.access.role else []
    document["paths"]["/oauth2/token"]["post"]["security"] = [{"client": []}, {}]
    return document


if __name__ == "__main__":
    json.dump(openapi(build_routes()), sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")
