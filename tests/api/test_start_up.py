"""An application is refused in which a route does not say whose it is."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import Response
from starlette.routing import Mount, Route

from service.api.access import Access, admit, require_access, route
from service.app import build_routes
from service.errors import Broken


async def stated() -> Response:
    return Response()


async def silent() -> Response:
    return Response()


route(Access.OFFICER)(stated)


@route(Access.EVERYONE)
async def open_to_all() -> Response:
    return Response()


def bare() -> FastAPI:
    return FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


def test_every_route_of_the_service_says_whose_it_is() -> None:
    require_access(build_routes())


def test_a_route_that_says_nothing_is_refused_by_name() -> None:
    app = bare()
    app.add_api_route("/v1/silent", silent, dependencies=[Depends(admit)])
    with pytest.raises(Broken, match="`/v1/silent` does not state whose it is"):
        require_access(app)


def test_a_route_that_says_whose_it_is_but_lets_everybody_in_is_refused() -> None:
    app = bare()
    app.add_api_route("/v1/unguarded", stated)
    with pytest.raises(Broken, match="`/v1/unguarded` is for `officer` but does not admit its callers"):
        require_access(app)


@pytest.mark.parametrize(
    "other",
    [
        Route("/v1/plain", silent),
        Route("/v1/plain-but-marked", open_to_all),
        Mount("/v1/mounted", app=bare()),
    ],
    ids=lambda one: one.path,
)
def test_a_route_of_another_kind_is_refused(other: Route | Mount) -> None:
    app = bare()
    app.router.routes.append(other)
    with pytest.raises(Broken, match=other.path):
        require_access(app)


def test_a_documentation_page_of_the_framework_is_refused() -> None:
    with pytest.raises(Broken, match="openapi"):
        require_access(FastAPI())


def test_a_router_included_after_the_fact_is_refused() -> None:
    app = build_routes()
    later = APIRouter(prefix="/v1")
    later.add_api_route("/later", silent)
    app.include_router(later)
    with pytest.raises(Broken):
        require_access(app)


def test_what_states_and_admits_is_taken() -> None:
    app = bare()
    app.add_api_route("/v1/guarded", stated, dependencies=[Depends(admit)])
    app.add_api_route("/open", open_to_all)
    require_access(app)
