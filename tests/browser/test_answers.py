"""Which model, and why; what the mayor runs on; and a town of ten thousand beads."""

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.visiting import Visits, apart
from tests.bulk import add_beads
from tests.client import Api
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, publish, rule, sync

DEMO = "/towns/demo/resolve"


def draft(page: Page, path: str, title: str, model: str) -> None:
    """Set a row of a town's overrides to a model, on another page, and come back."""
    page.goto(path.removesuffix("/resolve"))
    expect(page.get_by_role("heading", name="Advanced overrides")).to_be_visible()
    if not page.get_by_role("button", name="Add override…").is_visible():
        page.get_by_text("Advanced overrides").click()
    page.get_by_label(f"Model for {title}", exact=True).select_option(model)
    expect(page.get_by_text("not published")).to_be_visible()
    page.goto(path)


# A bead, or a task


def test_beads__searched_by_title_label_and_rig__are_narrowed(visits: Visits, base: str) -> None:
    page = visits.open(base, DEMO)
    beads = page.get_by_role("list", name="Beads").get_by_role("listitem")
    expect(beads).to_have_count(12)
    page.get_by_label("Label", exact=True).select_option("gt:pr-fixup")
    expect(beads).to_have_count(2)
    page.get_by_label("Title").fill("LINT")
    expect(beads).to_have_count(1)
    expect(beads).to_contain_text("Lint: unused import in cart.ts")
    page.get_by_label("Rig", exact=True).select_option("api")
    expect(page.get_by_text("No bead is like that: widen the search.")).to_be_visible()


def test_bead__picked__has_its_model_its_because_and_the_whole_ladder(visits: Visits, base: str, api: Api) -> None:
    page = visits.open(base, DEMO)
    page.get_by_role("button", name="Lint: unused import in cart.ts").click()
    answer = page.get_by_role("article")
    expect(answer.get_by_role("heading")).to_have_text("As published (version 2)")
    expect(answer).to_contain_text("because: override “Polecat — label: gt:pr-fixup, rig: web”")
    expect(answer).to_contain_text(f"Small model {HAIKU}")
    asked = '{ resolution(beadId: "demo-fixup") { considered { title model } } }'
    considered = api.data(asked)["resolution"]["considered"]
    rows = answer.get_by_role("row")
    expect(rows).to_have_count(1 + len(considered))
    for number, rule_considered in enumerate(considered, start=1):
        expect(rows.nth(number)).to_contain_text(rule_considered["title"])
    decides = answer.get_by_role("row").filter(has_text="decides").first
    expect(decides).to_contain_text(SONNET)


def test_bead__under_a_draft__has_both_answers_side_by_side(visits: Visits, base: str, api: Api) -> None:
    town_id = make_town(api)
    sync(api, town_id, {"beadId": f"{town_id}-a", "title": "A", "labels": ["gt:rework"]})
    page = visits.open(base)
    draft(page, f"/towns/{town_id}/resolve", "Polecat (default)", OPUS)
    page.get_by_role("button", name=f"A {town_id}-a").click()
    published, drafted = page.get_by_role("article").nth(0), page.get_by_role("article").nth(1)
    expect(published).to_contain_text(SONNET)
    expect(published).to_contain_text("because: profile balanced “Polecat (default)”")
    expect(drafted.get_by_role("heading")).to_have_text("Under your draft")
    expect(drafted).to_contain_text("because: override “Polecat (default)”")


def test_task__described__is_answered_under_what_is_published_and_under_the_draft(
    visits: Visits, base: str, api: Api
) -> None:
    town_id = make_town(api)
    page = visits.open(base)
    draft(page, f"/towns/{town_id}/resolve", "Mayor", KILO)
    page.get_by_role("button", name="Describe a task").click()
    form = page.get_by_role("form", name="A task")
    published, drafted = page.get_by_role("article").nth(0), page.get_by_role("article").nth(1)
    form.get_by_role("checkbox", name="gt:pr-fixup").check()
    expect(published).to_contain_text("because: profile balanced “Polecat — label: gt:pr-fixup”")
    form.get_by_label("Role").select_option("MAYOR")
    expect(published).to_contain_text(OPUS)
    expect(drafted).to_contain_text("because: override “Mayor”")


def test_task__of_a_model_of_its_own__follows_the_switch(visits: Visits, base: str, api: Api) -> None:
    town_id = make_town(api)
    page = visits.open(base, f"/towns/{town_id}/resolve")
    page.get_by_role("button", name="Describe a task").click()
    page.get_by_label("Model asked for by the bead").select_option(KILO)
    expect(page.get_by_role("row", name="models of beads are ignored")).to_be_visible()


def test_town__without_beads__says_who_brings_them(visits: Visits, base: str, api: Api) -> None:
    page = visits.open(base, f"/towns/{make_town(api)}/resolve")
    expect(page.get_by_text("No bead yet: the host syncs them before it dispatches them.")).to_be_visible()


# Ten thousand beads


@pytest.fixture(scope="module")
def large(api: Api) -> str:
    town_id = make_town(api, rigs=("web", "api", "docs", "ops", "lab"))
    apart(add_beads, api.url, [town_id], 10_000)
    return town_id


def test_search__of_ten_thousand_beads__answers_each_pause_once_and_leaves_nothing_pending(
    visits: Visits, base: str, large: str
) -> None:
    page = visits.open(base, "about:blank")
    page.clock.install(time=0)
    under_way: list[Request] = []
    searches: list[str] = []

    def asked(request: Request) -> None:
        under_way.append(request)
        sent = request.post_data_json or {}
        if "query Beads" in sent.get("query", ""):
            searches.append(sent["variables"]["filter"]["titleContains"])

    page.on("request", asked)
    page.on("requestfinished", lambda request: under_way.remove(request))  # noqa: PLW0108  # it wants a function
    page.on("requestfailed", lambda request: under_way.remove(request))  # noqa: PLW0108
    page.goto(f"/towns/{large}/resolve")
    beads = page.get_by_role("list", name="Beads").get_by_role("listitem")
    title = page.get_by_label("Title")
    expect(beads).to_have_count(20)
    expect(page.get_by_text("There are more: narrow the search.")).to_be_visible()
    page.clock.pause_at(24 * 60 * 60 * 1000)
    searches.clear()
    for typed, first in (("Bead 12", "Bead 12"), ("34", "Bead 1234"), ("5", None)):
        title.press_sequentially(typed)  # the page's clock stands still: no pause between the letters
        page.clock.run_for(200)
        if first is None:
            expect(page.get_by_text("No bead is like that")).to_be_visible()
        else:
            expect(beads.first).to_contain_text(first)
            expect(beads.filter(has_text=first)).to_have_count(20 if first == "Bead 12" else 1)
    assert searches == ["Bead 12", "Bead 1234", "Bead 12345"]
    assert under_way == []


def test_draft__over_ten_thousand_beads__counts_all_and_shows_the_first(visits: Visits, base: str, large: str) -> None:
    page = visits.open(base)
    draft(page, f"/towns/{large}", "Polecat (default)", OPUS)
    expect(page.get_by_text("beads would change; the mayor goes on")).to_contain_text(",")  # thousands
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_role("table", name="The first 50 of them").get_by_role("row")).to_have_count(51)


# The mayor


def tell(api: Api, town_id: str, model: str) -> None:
    """What a host says of its mayor."""
    api.done("detectMayorChange", townId=town_id, observed={"model": model, "smallModel": HAIKU})


def test_mayor__whose_host_has_not_said__says_how_it_does(visits: Visits, base: str, api: Api) -> None:
    page = visits.open(base, f"/towns/{make_town(api)}/mayor")
    expect(page.get_by_text("The host has not said yet")).to_be_visible()
    expect(page.get_by_text("There has been none")).to_be_visible()
    expect(page.get_by_text("The mayor need not restart.")).to_be_visible()


def test_mayor__while_others_publish_and_it_restarts__shows_it_as_it_happens(
    visits: Visits, base: str, api: Api
) -> None:
    town_id = make_town(api)
    tell(api, town_id, OPUS)
    page = visits.open(base, f"/towns/{town_id}/mayor")
    verdict = page.get_by_role("status").filter(has_text="The mayor")
    expect(verdict).to_have_text("The mayor need not restart.")
    expect(page.get_by_text("Live:")).to_be_visible()
    publish(api, town_id, overrides=[rule(SONNET, "MAYOR")])
    expect(verdict).to_contain_text("The mayor must restart, since")
    expect(verdict).to_contain_text("what it should run on was changed (version 2)")
    since = verdict.get_by_role("time")
    expect(since).to_have_attribute("title", str(since.get_attribute("datetime")))  # the exact instant, on hover
    expect(page.get_by_role("definition").nth(0)).to_contain_text(SONNET)
    expect(page.get_by_role("definition").nth(1)).to_contain_text(OPUS)
    tell(api, town_id, SONNET)
    expect(verdict).to_have_text("The mayor need not restart.")
    expect(page.get_by_role("listitem").filter(has_text="closed")).to_contain_text("since it restarted")
