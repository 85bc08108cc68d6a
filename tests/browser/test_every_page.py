"""What holds for each page: no fault that axe finds, in both themes; nothing to scroll sideways; little to load."""

import gzip
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from api.pages import STATIC
from tests.browser.visiting import Visits, faults_in_each_theme
from tests.client import Api
from tests.towns import HAIKU, OPUS, publish, rule

SCRIPT_BYTES: Final = 60_000  # gzipped
WIDTHS: Final = (360, 1280)
TOO_WIDE: Final = """document.scrollingElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("main *")]
    .filter(it => it.getBoundingClientRect().right > innerWidth).map(it => it.outerHTML.slice(0, 200))"""
NAME: Final = "Bureau-de-la-ville-qui-porte-un-nom-sans-espaces-et-n-en-finit-pas-" * 2

Visit = Callable[[Page], None]


def towns(page: Page) -> None:
    expect(page.get_by_role("link", name="Demo town")).to_be_visible()


def models(page: Page) -> None:
    page.goto("/towns/demo")
    expect(page.get_by_role("heading", name="Advanced overrides")).to_be_visible()


def builder(page: Page) -> None:
    models(page)
    page.get_by_role("button", name="Add override…").click()
    expect(page.get_by_role("form", name="Add an override")).to_be_visible()


def drafted(page: Page) -> None:
    models(page)
    page.get_by_label("Model for Polecat (default)").select_option(OPUS)
    expect(page.get_by_text("beads would change; the mayor")).to_be_visible()


def review(page: Page) -> None:
    drafted(page)
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_role("dialog").get_by_role("table", name="They are")).to_be_visible()


def answer(page: Page) -> None:
    drafted(page)
    page.get_by_role("link", name="Which model, and why").click()
    page.get_by_role("button", name="Lint: unused import in cart.ts").click()
    expect(page.get_by_role("article")).to_have_count(2)


def task(page: Page) -> None:
    page.goto("/towns/demo/resolve")
    page.get_by_role("button", name="Describe a task").click()
    expect(page.get_by_role("article")).to_be_visible()


def mayor(page: Page) -> None:
    page.goto("/towns/restarting/mayor")
    expect(page.get_by_text("Live:")).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_count(1)


def history(page: Page) -> None:
    page.goto("/towns/demo/history")
    expect(page.get_by_role("region", name="Record").get_by_role("listitem").first).to_be_visible()
    page.get_by_role("button", name="Verify").click()
    page.get_by_text("As a table").click()
    page.get_by_role("region", name="Record").locator("summary").first.click()
    expect(page.get_by_text("Nobody touched the record")).to_be_visible()


def revert(page: Page) -> None:
    page.goto("/towns/demo/history")
    page.get_by_role("button", name="Revert to this…").first.click()
    expect(page.get_by_role("dialog").get_by_text("would change")).to_be_visible()


def then(page: Page) -> None:
    page.goto("/towns/demo/at/2")
    expect(page.get_by_role("row", name="Mayor")).to_be_visible()


def profiles(page: Page) -> None:
    page.goto("/profiles")
    expect(page.get_by_role("link", name="Frugal")).to_be_visible()


def profile(page: Page) -> None:
    page.goto("/profiles/balanced")
    page.get_by_role("button", name="Draft the next version").click()
    page.get_by_role("button", name="Add rule…").click()
    expect(page.get_by_text("mayors move")).to_be_visible()


def missing(page: Page) -> None:
    page.goto("/towns/atlantis")
    expect(page.get_by_text("There is no town “atlantis”")).to_be_visible()


PAGES: Final[tuple[Visit, ...]] = (
    towns,
    models,
    builder,
    drafted,
    review,
    answer,
    task,
    mayor,
    history,
    revert,
    then,
    profiles,
    profile,
    missing,
)


@pytest.fixture(scope="module", autouse=True)
def _long_names(api: Api) -> None:
    """A town whose mayor has to restart, and one with names that nothing breaks."""
    api.done("createTown", townId="restarting", name=NAME, profile="balanced")
    api.done("detectMayorChange", townId="restarting", observed={"model": OPUS, "smallModel": HAIKU})
    publish(api, "restarting", overrides=[rule(HAIKU, "MAYOR")])
    beads = [{"beadId": "long", "title": NAME, "labels": ["gt:rework"]}]
    api.done("syncBeads", townId="restarting", beads=beads)


@pytest.fixture(scope="module", params=PAGES, ids=lambda visit: visit.__name__)
def shown(browser: Browser, base: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Each of the pages; loaded narrow, and light."""
    visits = Visits(browser=browser)
    page = visits.open(base, viewport={"width": WIDTHS[0], "height": 740}, color_scheme="light")
    request.param(page)
    yield page
    visits.close()
    assert visits.faults == []


def test_page__in_each_theme__has_no_fault_that_axe_finds(shown: Page) -> None:
    assert faults_in_each_theme(shown) == []


def test_page__narrow_or_wide__does_not_scroll_sideways(shown: Page) -> None:
    for width in WIDTHS:
        shown.set_viewport_size({"width": width, "height": 740})
        assert shown.evaluate(TOO_WIDE) == [], width


def test_scripts__all_of_them__are_small() -> None:
    scripts = [gzip.compress(path.read_bytes()) for path in (STATIC / "assets").glob("*.js")]
    assert scripts
    assert sum(map(len, scripts)) < SCRIPT_BYTES
