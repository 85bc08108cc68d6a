"""Takes the pictures of docs/screens: `python -m tests.browser.screenshots`, by hand where the pages have changed."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import Page, expect

from tests.browser.visiting import Visits, chromium
from tests.e2e.process import serving_process
from tests.towns import OPUS

FOLDER: Final = Path(__file__).parents[2] / "docs" / "screens"
SIZES: Final = ((1280, 720), (360, 740))
MOST_BYTES: Final = 150_000


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with (
        TemporaryDirectory() as folder,
        serving_process(f"sqlite:///{folder}/town.db") as server,
        chromium() as browser,
    ):
        visits = Visits(browser=browser)
        for width, height in SIZES:
            options = {"viewport": {"width": width, "height": height}, "color_scheme": "light"}
            page = visits.open(str(server.api.http.base_url), "/towns/demo", **options)
            page.get_by_label("Model for Polecat (default)").select_option(OPUS)
            expect(page.get_by_text("beads would change; the mayor")).to_be_visible()
            _take(page, f"models-{width}", "summary h2")
            page.get_by_role("link", name="Which model, and why").click()
            page.get_by_role("button", name="Sign in with OAuth").click()
            expect(page.get_by_role("article")).to_have_count(2)
            _take(page, f"resolve-{width}", "article")
        visits.close()
        assert visits.faults == []


def _take(page: Page, name: str, shown: str) -> None:
    """A picture of the page from its top, where that leaves `shown` in it; else from there."""
    path = FOLDER / f"{name}.png"
    page.evaluate(
        """shown => {
            scrollTo(0, 0);
            const { top } = document.querySelector(shown).getBoundingClientRect();
            if (top > innerHeight * 0.6) scrollTo(0, top - 80);
        }""",
        shown,
    )
    page.screenshot(path=path)
    assert path.stat().st_size < MOST_BYTES, f"{path} is large"


if __name__ == "__main__":
    main()
