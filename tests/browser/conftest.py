"""One Chromium for all tests of a process that follow each other here, a server and a database for each module."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.visiting import SECONDS, SKIPPED, Visits, apart, chromium, missing
from tests.client import Api
from tests.databases import Databases
from tests.e2e.process import serving_process

expect.set_options(timeout=SECONDS * 1000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Not for the session: Playwright keeps a loop in this thread, where other tests run loops of their own."""
    without = missing()
    if without is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{SKIPPED}: {without}")
        pytest.skip(f"{SKIPPED}: {without}")
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def url(databases: Databases) -> str:
    """The module's database."""
    return apart(databases.fresh, "sqlite")


@pytest.fixture(scope="module")
def api(browser: Browser, url: str) -> Iterator[Api]:  # noqa: ARG001  # no server where there is no browser
    """A Townclerk in dev mode, with the demo town."""
    with serving_process(url) as server:
        yield server.api


@pytest.fixture(scope="module")
def base(api: Api) -> str:
    return str(api.http.base_url).rstrip("/")


@pytest.fixture
def visits(browser: Browser) -> Iterator[Visits]:
    """Browser contexts. No page may have an error, say so in the console, or ask anyone but its server."""
    opened = Visits(browser=browser)
    yield opened
    opened.close()
    assert opened.faults == []


@pytest.fixture
def page(visits: Visits, base: str) -> Page:
    """The list of towns."""
    return visits.open(base)
