"""A real Chromium that looks at the settings pages as people do, and fails on what people would not see.

Playwright keeps an event loop in the thread that it runs in, so whatever runs one of its own goes through `apart`.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, ParamSpec, TypeVar
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from api.pages import STATIC

P = ParamSpec("P")
T = TypeVar("T")

SKIPPED: Final = "the pages were not looked at"
SECONDS: Final = 30  # for what takes no time when there is nothing else to do
_AXE: Final = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
_FLAGS: Final = (
    "--no-sandbox",  # tests may run as root; they look at nothing but their own pages
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def missing() -> str | None:
    """What there has to be for the pages to be looked at and is not there."""
    if _chromium() is None:
        return "there is no Chromium"
    if not (STATIC / "index.html").exists() or not _AXE.exists():
        return "they are not built"
    return None


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` gives, in a thread of its own."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work, *args, **kwargs).result()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=_FLAGS)
        yield browser
        browser.close()


@dataclass(kw_only=True)
class Visits:
    """Opens browser contexts (of people who share nothing), and keeps what went wrong in them.

    `expected` are parts of console messages that a test brings about; `hosts` are others that may be asked.
    """

    browser: Browser
    expected: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def open(self, base: str, path: str = "/", **options: Any) -> Page:
        """A page in a context of its own, at a path of the server at `base`."""
        context = self.browser.new_context(base_url=base, **options)
        context.set_default_timeout(SECONDS * 1000)
        self._contexts.append(context)
        self.hosts.append(urlsplit(base).netloc)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"{error.error}"))
        context.on("request", self._request)
        page = context.new_page()
        page.goto(path)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(part in message.text for part in self.expected):
            self.faults.append(f"{message.type}: {message.text} at {message.location}")

    def _request(self, request: Request) -> None:
        to = urlsplit(request.url)
        if to.scheme not in {"data", "blob"} and to.netloc not in self.hosts:
            self.faults.append(f"asks {request.url}")


def faults_in_each_theme(page: Page) -> list[str]:
    """What axe has against a page."""
    found = []
    themes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for theme in themes:
        page.emulate_media(color_scheme=theme)
        found += [f"{theme}: {fault}" for fault in _violations(page)]
    return found


@cache
def _axe() -> str:
    return _AXE.read_text(encoding="utf-8")


def _violations(page: Page) -> list[str]:
    page.evaluate(_axe())
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{each['id']}: {each['help']}: {json.dumps([node['html'][:200] for node in each['nodes']])}" for each in found
    ]
