"""The settings pages: files that the build of `web/` left in `api/static`."""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

STATIC: Final = Path(__file__).parent / "static"
PATHS: Final = ("/", "/towns/{rest:path}", "/profiles", "/profiles/{rest:path}")  # which the pages tell apart
_YEAR: Final = 365 * 24 * 3600
_NOT_BUILT: Final = "The settings pages are not built: run make install where the npm registry can be reached."


class _Forever(StaticFiles):
    """Files whose names hold a hash of what is in them."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        answer = super().file_response(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they come
        answer.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
        return answer


def page_routes(folder: Path = STATIC) -> list[BaseRoute]:
    """The routes of the pages; where they were not built, one that says so."""
    index = folder / "index.html"
    if not index.exists():
        return [Route("/", _not_built)]

    async def page(_request: Request) -> Response:
        return FileResponse(index, headers={**_HEADERS, "Cache-Control": "no-cache"})

    async def icon(_request: Request) -> Response:
        return FileResponse(folder / "icon.svg", headers=_HEADERS)

    return [
        *(Route(path, page) for path in PATHS),
        Route("/icon.svg", icon),
        Mount("/assets", _Forever(directory=folder / "assets")),
    ]


# The pages ask nobody but the server they came from, and nobody else may show them in a frame.
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


async def _not_built(_request: Request) -> Response:
    return PlainTextResponse(_NOT_BUILT, status_code=503)
