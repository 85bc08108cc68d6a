"""The settings pages: files that the build of `web/` left in `api/static`, and how one signs in to them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

STATIC: Final = Path(__file__).parent / "static"
PATHS: Final = ("/", "/towns/{rest:path}", "/profiles", "/profiles/{rest:path}")  # which the pages tell apart
_YEAR: Final = 365 * 24 * 3600
_NOT_BUILT: Final = "The settings pages are not built: run make install where the npm registry can be reached."


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningIn:
    """Where users sign in, as which client; `token` is which of the issuer's tokens is for us."""

    issuer: str
    client_id: str
    scope: str
    token: str


class _Forever(StaticFiles):
    """Files whose names hold a hash of what is in them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        answer = super().file_response(*args, **kwargs)
        answer.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
        return answer


def page_routes(signing_in: SigningIn | None, *, is_open: bool, folder: Path = STATIC) -> list[BaseRoute]:
    """The routes of the pages; where they were not built, one that says so. `is_open`: nobody has to sign in."""
    index = folder / "index.html"
    if not index.exists():
        return [Route("/", _not_built)]
    headers = _headers(signing_in)

    async def page(_request: Request) -> Response:
        return FileResponse(index, headers={**headers, "Cache-Control": "no-cache"})

    async def icon(_request: Request) -> Response:
        return FileResponse(folder / "icon.svg", headers=headers)

    async def sign_in(_request: Request) -> Response:
        told = {"open": is_open, "oidc": None if signing_in is None else _told(signing_in)}
        return JSONResponse(told, headers=headers)

    return [
        *(Route(path, page) for path in PATHS),
        Route("/icon.svg", icon),
        Route("/sign-in", sign_in),
        Mount("/assets", _Forever(directory=folder / "assets")),
    ]


def _headers(signing_in: SigningIn | None) -> dict[str, str]:
    """The pages ask nobody but the server they came from, and the issuer; nobody else may show them in a frame."""
    asked = ["'self'"]
    if signing_in is not None:
        issuer = urlsplit(signing_in.issuer)
        asked.append(f"{issuer.scheme}://{issuer.netloc}")
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {' '.join(asked)}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _told(signing_in: SigningIn) -> dict[str, str]:
    return {
        "issuer": signing_in.issuer,
        "clientId": signing_in.client_id,
        "scope": signing_in.scope,
        "token": signing_in.token,
    }


async def _not_built(_request: Request) -> Response:
    return PlainTextResponse(_NOT_BUILT, status_code=503)
