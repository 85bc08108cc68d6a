"""A draft: kept, looked at, published; what becomes of it where others publish, or where the server is gone."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.visiting import Visits, faults_in_each_theme
from tests.client import Api
from tests.e2e.process import Server, serving_process
from tests.towns import HAIKU, OPUS, SONNET, make_town, publish, sync


def draft(page: Page, title: str, model: str) -> None:
    """Set a row of the overrides to a model."""
    page.get_by_label(f"Model for {title}", exact=True).select_option(model)


def open_overrides(page: Page) -> None:
    page.get_by_text("Advanced overrides").click()


@pytest.fixture
def town_id(api: Api) -> str:
    """A town with three beads, which the mayor tells what it runs on."""
    made = make_town(api)
    pair = {"model": OPUS, "smallModel": HAIKU}
    api.done("detectMayorChange", townId=made, observed=pair)
    beads = [("fix", ["gt:pr-fixup"]), ("plain", []), ("rework", ["gt:rework"])]
    sync(api, made, *({"beadId": f"{made}-{it}", "title": f"The {it} bead", "labels": labels} for it, labels in beads))
    return made


@pytest.fixture
def town_page(visits: Visits, base: str, town_id: str) -> Page:
    page = visits.open(base, f"/towns/{town_id}")
    open_overrides(page)
    return page


# From draft to version


def test_bar__as_the_draft_grows__tells_beads_and_mayor(town_page: Page) -> None:
    draft(town_page, "Polecat — label: gt:pr-fixup", OPUS)
    expect(town_page.get_by_text("1 bead would change; the mayor goes on")).to_be_visible()
    draft(town_page, "Polecat (default)", OPUS)
    expect(town_page.get_by_text("3 beads would change; the mayor goes on")).to_be_visible()
    draft(town_page, "Mayor", SONNET)
    expect(town_page.get_by_text("3 beads would change; the mayor would have to restart")).to_be_visible()


def test_review__of_a_draft__shows_the_diff_and_the_beads_and_publishes_with_a_reason(
    town_page: Page, api: Api, town_id: str
) -> None:
    draft(town_page, "Polecat — label: gt:pr-fixup", OPUS)
    draft(town_page, "Mayor", SONNET)
    town_page.get_by_role("button", name="Review").click()
    dialog = town_page.get_by_role("dialog", name="Review and publish")
    changes = dialog.get_by_role("table", name="Changes to version 1")
    expect(changes.get_by_role("row", name=f"Mayor as the profile says {SONNET}")).to_be_visible()
    beads = dialog.get_by_role("table", name="They are")
    row = beads.get_by_role("row", name="The fix bead")
    expect(row.get_by_role("cell").nth(0)).to_contain_text(HAIKU)
    expect(row.get_by_role("cell").nth(1)).to_contain_text(OPUS)
    expect(row.get_by_role("cell").nth(1)).to_contain_text("override “Polecat — label: gt:pr-fixup”")
    expect(dialog.get_by_text("The mayor moves from")).to_contain_text("has to restart")
    submit = dialog.get_by_role("button", name="Publish as version 2")
    expect(submit).to_be_disabled()  # without a reason
    dialog.get_by_label("Why?").fill("Fixups break builds.")
    submit.click()
    expect(town_page.get_by_text("Published as version 2.")).to_be_visible()
    expect(town_page.get_by_text("Version 2,")).to_contain_text("by dev: “Fixups break builds.”")
    expect(town_page.get_by_role("complementary", name="Your draft")).to_be_hidden()
    assert api.version(town_id) == 2


def test_draft__and_its_reason__outlive_a_reload(town_page: Page) -> None:
    draft(town_page, "Mayor", SONNET)
    town_page.get_by_role("switch", name="Honour models").check()
    town_page.get_by_role("button", name="Review").click()
    town_page.get_by_role("dialog").get_by_label("Why?").fill("Half a sent")
    town_page.reload()
    expect(town_page.get_by_label("Model for Mayor", exact=True)).to_have_value(SONNET)
    expect(town_page.get_by_role("switch", name="Honour models")).to_be_checked()
    expect(town_page.get_by_text("2 changes not published")).to_be_visible()
    town_page.get_by_role("button", name="Review").click()
    expect(town_page.get_by_role("dialog").get_by_label("Why?")).to_have_value("Half a sent")


def test_draft__taken_back_by_hand__is_none(town_page: Page) -> None:
    draft(town_page, "Mayor", SONNET)
    expect(town_page.get_by_text("1 change not published")).to_be_visible()
    town_page.get_by_label("Model for Mayor", exact=True).select_option(f"use profile ({OPUS})")
    expect(town_page.get_by_role("complementary", name="Your draft")).to_be_hidden()


def test_draft__that_is_refused__says_why_and_cannot_be_reviewed(town_page: Page, api: Api, town_id: str) -> None:
    draft(town_page, "Mayor", SONNET)
    town_page.evaluate(  # as of a rig that is gone for good, in a browser that was not opened for long
        """town => {
            const place = `townclerk.draft.${town}`;
            const draft = JSON.parse(localStorage.getItem(place));
            draft.overrides.push({ role: "POLECAT", label: null, rigId: "gone", model: draft.overrides[0].model });
            localStorage.setItem(place, JSON.stringify(draft));
        }""",
        town_id,
    )
    town_page.reload()
    expect(town_page.get_by_role("alert")).to_contain_text("gone")
    expect(town_page.get_by_role("button", name="Review")).to_be_disabled()
    assert api.version(town_id) == 1


# Two who edit the same town


def test_draft__over_a_version_that_is_not_the_last_any_more__is_put_on_top_of_it(
    town_page: Page, visits: Visits, base: str, api: Api, town_id: str
) -> None:
    other = visits.open(base, f"/towns/{town_id}")
    open_overrides(other)
    draft(town_page, "Mayor", SONNET)
    draft(other, "Refinery (default)", HAIKU)
    town_page.get_by_role("button", name="Review").click()
    mine = town_page.get_by_role("dialog")
    mine.get_by_label("Why?").fill("Plan on Sonnet.")
    other.get_by_role("button", name="Review").click()
    other.get_by_role("dialog").get_by_label("Why?").fill("Merging is easy.")
    other.get_by_role("button", name="Publish as version 2").click()
    expect(other.get_by_text("Published as version 2.")).to_be_visible()

    mine.get_by_role("button", name="Publish as version 2").click()
    conflict = mine.get_by_role("alert")
    expect(conflict).to_contain_text("Version 2 was published meanwhile by dev")
    expect(conflict).to_contain_text("“Merging is easy.”")
    expect(conflict.get_by_role("listitem")).to_have_text(f"Refinery (default): as the profile says → {HAIKU}")
    assert faults_in_each_theme(town_page) == []
    conflict.get_by_role("button", name="Put my draft on top of it").click()
    expect(mine.get_by_label("Why?")).to_have_value("Plan on Sonnet.")
    mine.get_by_role("button", name="Publish as version 3").click()
    expect(town_page.get_by_text("Published as version 3.")).to_be_visible()
    asked = "query ($t: ID!) { town(townId: $t) { overrideSet { overrides { key model } } } }"
    overrides = api.data(asked, t=town_id)["town"]["overrideSet"]["overrides"]
    assert {it["key"]: it["model"] for it in overrides} == {"mayor": SONNET, "refinery": HAIKU}


def test_draft__that_another_published_just_so__is_none_once_it_is_put_on_top(
    town_page: Page, api: Api, town_id: str
) -> None:
    draft(town_page, "Mayor", SONNET)
    expect(town_page.get_by_text("0 beads would change; the mayor would have to restart")).to_be_visible()
    publish(api, town_id, overrides=[{"role": "MAYOR", "label": None, "rigId": None, "model": SONNET}])
    town_page.get_by_role("button", name="Review").click()
    dialog = town_page.get_by_role("dialog")
    dialog.get_by_label("Why?").fill("Plan on Sonnet.")
    dialog.get_by_role("button", name="Publish as version 2").click()
    dialog.get_by_role("button", name="Put my draft on top of it").click()
    expect(dialog).to_be_hidden()
    expect(town_page.get_by_role("complementary", name="Your draft")).to_be_hidden()
    expect(town_page.get_by_text("Version 2,")).to_be_visible()


def test_draft__in_another_tab_of_the_browser__is_the_same(town_page: Page, town_id: str) -> None:
    other = town_page.context.new_page()
    other.goto(f"/towns/{town_id}")
    draft(town_page, "Mayor", SONNET)
    expect(other.get_by_text("1 change not published")).to_be_visible()
    other.get_by_role("button", name="Discard").click()
    expect(town_page.get_by_role("complementary", name="Your draft")).to_be_hidden()


# A server that goes away


@dataclass
class Mortal:
    """A server that can be killed, and one like it that takes its place."""

    url: str
    _stack: ExitStack = field(default_factory=ExitStack)
    _server: Server | None = None

    def start(self, port: int = 0) -> str:
        """Gives where it is."""
        self._server = self._stack.enter_context(serving_process(self.url, "--port", str(port)))
        return str(self._server.api.http.base_url).rstrip("/")

    def kill(self) -> None:
        assert self._server is not None
        self._server.kill()

    def close(self) -> None:
        self._stack.close()


@contextmanager
def mortal(url: str) -> Iterator[Mortal]:
    made = Mortal(url)
    try:
        yield made
    finally:
        made.close()


def test_pages__whose_server_is_killed_and_comes_back__say_so_and_go_on_by_themselves(url: str, visits: Visits) -> None:
    visits.expected.append("net::ERR_")  # which one depends on how far each request was when its server was killed
    lost = "The server can't be reached."
    with mortal(url) as server:
        at = server.start()
        models, mayor = visits.open(at, "/towns/demo"), visits.open(at, "/towns/demo/mayor")
        expect(models.get_by_label("Model for Mayor", exact=True)).to_be_visible()
        expect(mayor.get_by_text("Live:")).to_be_visible()
        server.kill()
        draft(models, "Refinery (default)", HAIKU)
        expect(models.get_by_role("alert").filter(has_text=lost)).to_be_visible()
        expect(mayor.get_by_role("alert").filter(has_text=lost)).to_be_visible()
        expect(mayor.get_by_text("Connecting…")).to_be_visible()

        server.start(int(at.rpartition(":")[2]))
        expect(models.get_by_text("2 beads would change")).to_be_visible()
        expect(models.get_by_text(lost)).to_have_count(0)
        expect(mayor.get_by_text("Live:")).to_be_visible()
        expect(mayor.get_by_text(lost)).to_have_count(0)


def test_page__loaded_while_the_api_is_out_of_reach__goes_on_once_it_is_back(visits: Visits, base: str) -> None:
    visits.expected.append("ERR_FAILED")
    page = visits.open("about:blank", "about:blank")
    page.route("**/graphql", lambda route: route.abort())
    visits.hosts.append(base.removeprefix("http://"))
    page.goto(base)
    expect(page.get_by_role("alert")).to_contain_text("The server can't be reached.")
    page.unroute("**/graphql")
    expect(page.get_by_role("heading", name="Towns")).to_be_visible()


def lose_answers(route: Route) -> None:
    """Let changes reach the server, and their answers nobody."""
    if "mutation" in (route.request.post_data or ""):
        route.fetch()
        route.abort()
    else:
        route.continue_()


def test_publish__whose_answer_is_lost__takes_effect_once_when_it_is_sent_again(
    town_page: Page, visits: Visits, api: Api, town_id: str
) -> None:
    visits.expected.append("ERR_FAILED")
    draft(town_page, "Mayor", SONNET)
    town_page.get_by_role("button", name="Review").click()
    dialog = town_page.get_by_role("dialog")
    dialog.get_by_label("Why?").fill("Plan on Sonnet.")
    town_page.route("**/graphql", lose_answers)
    dialog.get_by_role("button", name="Publish as version 2").click()
    expect(dialog.get_by_role("alert")).to_have_text("The server did not answer. Send it again: it takes effect once.")
    assert api.version(town_id) == 2
    town_page.unroute("**/graphql")
    dialog.get_by_role("button", name="Publish as version 2").click()
    expect(town_page.get_by_text("Published as version 2.")).to_be_visible()
    assert api.version(town_id) == 2
