"""Where a server's process begins."""

from starlette.types import ASGIApp

from api.kept import kept


def served_app() -> ASGIApp:
    """The application, loaded and made."""
    with kept():
        from api import app  # noqa: PLC0415  # so that loading it is part of it

        return app.served_app()
