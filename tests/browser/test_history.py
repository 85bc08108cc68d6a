"""How a town came to be as it is; and the central profiles, which move all towns."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from models.domain.profiles import SHIPPED_PROFILES
from tests.browser.visiting import Visits, apart
from tests.bulk import add_towns
from tests.client import Api
from tests.databases import Databases
from tests.e2e.process import serving_process
from tests.towns import HAIKU, OPUS, SONNET, make_town, publish, rule, sync

SHIPPED = {shipped.table.name for shipped in SHIPPED_PROFILES}


@pytest.fixture
def town_id(api: Api) -> str:
    """A town with two beads that went Sonnet, Opus, Haiku."""
    made = make_town(api)
    sync(api, made, {"beadId": f"{made}-a", "title": "First"}, {"beadId": f"{made}-b", "title": "Second"})
    publish(api, made, overrides=[rule(OPUS, "POLECAT")])
    publish(api, made, overrides=[rule(HAIKU, "POLECAT")])
    return made


@pytest.fixture
def history(visits: Visits, base: str, town_id: str) -> Page:
    return visits.open(base, f"/towns/{town_id}/history")


def version(page: Page, number: int) -> Locator:
    """The entry of a version."""
    return page.get_by_role("listitem").filter(has_text=f"Version {number}").first


def test_versions__in_a_row__say_who_when_why_and_what(history: Page) -> None:
    entry = version(history, 3)
    expect(entry).to_contain_text("in force")
    expect(entry).to_contain_text("by dev: “A test says so.”")
    expect(entry).to_contain_text(f"polecat: {OPUS} → {HAIKU}")
    time = entry.get_by_role("time")
    expect(time).to_have_attribute("title", str(time.get_attribute("datetime")))
    expect(version(history, 2)).to_contain_text(f"polecat: as the profile says → {OPUS}")
    expect(version(history, 1)).to_contain_text("The town was made")


def test_spread__of_versions__is_a_picture_and_a_table(history: Page) -> None:
    expect(history.get_by_role("img", name="Bars of active beads by model")).to_be_visible()
    history.get_by_text("As a table").click()
    table = history.get_by_role("table")
    expect(table.get_by_role("columnheader")).to_have_text(["Version", HAIKU, OPUS])
    expect(table.get_by_role("row")).to_have_text(
        [f"Version{HAIKU}{OPUS}", "100", "202", "320"]
    )  # the first had no beads


def test_version__as_it_was_then__is_shown_without_anything_to_change(history: Page) -> None:
    version(history, 2).get_by_role("link", name="As it was then").click()
    expect(history.get_by_text("This is version 2")).to_be_visible()
    row = history.get_by_role("row", name="Polecat (default)")
    expect(row).to_contain_text(f"override instead of {SONNET}")
    expect(history.get_by_role("combobox")).to_have_count(0)
    history.get_by_role("link", name="See what is in force now").click()
    expect(history.get_by_label("Model for Polecat (default)")).to_have_value(HAIKU)


def test_revert__looked_at_first__comes_back_as_the_next_version(history: Page, api: Api, town_id: str) -> None:
    version(history, 2).get_by_role("button", name="Revert to this…").click()
    dialog = history.get_by_role("dialog", name="Revert to version 2")
    expect(dialog.get_by_text("2 beads would change; the mayor goes on.")).to_be_visible()
    expect(dialog.get_by_role("row", name="First")).to_contain_text(OPUS)
    submit = dialog.get_by_role("button", name="Revert", exact=True)
    expect(submit).to_be_disabled()
    dialog.get_by_label("Why?").fill("Haiku was too small.")
    submit.click()
    expect(version(history, 4)).to_contain_text("Reverted to version 2")
    expect(version(history, 4)).to_contain_text("“Haiku was too small.”")
    assert api.version(town_id) == 4


def test_revert__to_what_is_in_force__is_refused_and_says_so(history: Page, api: Api, town_id: str) -> None:
    publish(api, town_id, overrides=[rule(OPUS, "POLECAT")])
    version(history, 2).get_by_role("button", name="Revert to this…").click()
    dialog = history.get_by_role("dialog")
    expect(dialog.get_by_text("0 beads would change; the mayor goes on.")).to_be_visible()
    dialog.get_by_label("Why?").fill("Back.")
    dialog.get_by_role("button", name="Revert", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("Version 4")
    assert api.version(town_id) == 4


def test_versions__more_than_a_page__go_on(visits: Visits, base: str, api: Api) -> None:
    town_id = make_town(api)
    for number in range(21):
        publish(api, town_id, overrides=[rule((OPUS, HAIKU)[number % 2], "POLECAT")])
    page = visits.open(base, f"/towns/{town_id}/history")
    expect(version(page, 22)).to_be_visible()
    page.get_by_role("button", name="Older", exact=True).click()
    expect(version(page, 1)).to_be_visible()
    page.get_by_role("button", name="Newer", exact=True).click()
    expect(version(page, 22)).to_be_visible()


def test_record__filtered__tells_each_entry_with_before_and_after(history: Page) -> None:
    record = history.get_by_role("region", name="Record")
    entries = record.get_by_role("listitem")
    expect(entries).to_have_count(6)  # the town, its rigs, its beads, two versions
    record.get_by_label("What happened").select_option("OVERRIDE_SET_PUBLISHED")
    expect(entries).to_have_count(2)
    expect(entries.first).to_contain_text("by dev: “A test says so.”")
    entries.first.get_by_text("override_set").click()
    expect(entries.first.get_by_role("group", name="After")).to_contain_text(HAIKU)
    expect(entries.first.get_by_role("group", name="Before")).to_contain_text(OPUS)
    record.get_by_label("Until").fill("2020-01-01T00:00")
    expect(record.get_by_text("Nothing like that is on record")).to_be_visible()
    record.get_by_label("Until").fill("")
    record.get_by_label("Since").fill("2020-01-01T00:00")
    expect(entries).to_have_count(2)


def test_record__verified__says_that_nobody_touched_it(history: Page, api: Api, town_id: str) -> None:
    history.get_by_role("button", name="Verify").click()
    head = api.data("query ($t: ID) { auditHead(townId: $t) { sequence hash } }", t=town_id)["auditHead"]
    expect(history.get_by_text("Nobody touched the record")).to_contain_text(f"{head['sequence']}:{head['hash']}")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_record__exported__is_what_the_api_exports(
    history: Page, api: Api, town_id: str, form: str, tmp_path: Path
) -> None:
    with history.expect_download() as begun:
        history.get_by_role("button", name=f"Export as {form.upper()}").click()
    assert begun.value.suggested_filename == f"townclerk-audit-{town_id}.{form}"
    begun.value.save_as(tmp_path / "export")
    exported = api.http.get("/audit/export", params={"townId": town_id, "format": form}).content
    assert (tmp_path / "export").read_bytes() == exported


# Profiles


@pytest.fixture
def profile(visits: Visits, base: str) -> Page:
    """The page of a profile that one town follows."""
    page = visits.open(base)
    page.get_by_role("link", name="Profiles").click()
    page.get_by_role("link", name="Premium").click()
    expect(page.get_by_role("heading", name="Premium")).to_be_visible()
    return page


def test_profiles__listed__say_who_follows_them(visits: Visits, base: str) -> None:
    page = visits.open(base, "/profiles")
    expect(page.get_by_role("main").get_by_role("link")).to_have_count(len(SHIPPED))
    expect(page.get_by_role("link", name="Frugal")).to_contain_text("version 1")


def test_profile__next_version__tells_whom_it_moves_and_is_published(profile: Page, api: Api) -> None:
    for _ in range(2):
        make_town(api, profile="premium")
    profile.get_by_role("button", name="Draft the next version").click()
    expect(profile.get_by_text("2 towns get it; 0 mayors move to another model.")).to_be_visible()
    profile.get_by_label("Model for mayor").select_option(SONNET)
    expect(profile.get_by_text("2 towns get it; 2 mayors move to another model.")).to_be_visible()
    expect(profile.get_by_text(f"mayor: {OPUS} → {SONNET}")).to_be_visible()
    profile.get_by_label("Why?").fill("Sonnet plans as well.")
    profile.reload()  # loses nothing
    expect(profile.get_by_label("Model for mayor")).to_have_value(SONNET)
    expect(profile.get_by_label("Why?")).to_have_value("Sonnet plans as well.")
    profile.get_by_role("button", name="Publish version 2").click()
    expect(
        profile.get_by_text("Version 2 is published; 2 of 2 towns have it, 2 mayors have to restart.")
    ).to_be_visible()
    entry = version(profile, 2)
    expect(entry).to_contain_text("“Sonnet plans as well.”")
    expect(entry).to_contain_text(f"mayor: {OPUS} → {SONNET}")


def test_profile__that_another_published_meanwhile__is_not_written_over_unseen(
    visits: Visits, base: str, api: Api
) -> None:
    page = visits.open(base, "/profiles/frugal")
    page.get_by_role("button", name="Draft the next version").click()
    page.get_by_label("Model for mayor").select_option(OPUS)
    asked = '{ profile(name: "frugal") { current { smallModel rules { role label model } } } }'
    found = api.data(asked)["profile"]["current"]
    rules = [{**it, "model": OPUS} if it["role"] == "REFINERY" else it for it in found["rules"]]
    given = {"name": "frugal", "smallModel": found["smallModel"], "rules": rules}
    api.done("publishProfileVersion", expectedVersion=1, reason="Merging is delicate.", **given)
    page.get_by_label("Model for polecat", exact=True).select_option(OPUS)
    expect(page.get_by_role("alert")).to_contain_text("Version 2 was published meanwhile")
    expect(page.get_by_text(f"refinery: {OPUS} → {HAIKU}")).to_be_visible()  # it would be taken back
    page.get_by_label("Why?").fill("Opus plans.")
    expect(page.get_by_role("button", name="Publish version 2")).to_be_disabled()
    page.get_by_role("button", name="Put my draft on top of it").click()
    page.get_by_label("Model for refinery", exact=True).select_option(OPUS)
    page.get_by_role("button", name="Publish version 3").click()
    expect(page.get_by_text("Version 3 is published")).to_be_visible()


def test_profile__not_there__says_so(visits: Visits, base: str) -> None:
    page = visits.open(base, "/profiles/lavish")
    expect(page.get_by_text("There is no profile “lavish”.")).to_be_visible()


def test_rollout__under_way__shows_how_far_it_is(visits: Visits, databases: Databases) -> None:
    url = apart(databases.fresh, "sqlite")
    with serving_process(url, rollout_interval_seconds=3600) as server:
        at = str(server.api.http.base_url).rstrip("/")
        asked = '{ profile(name: "balanced") { current { smallModel rules { role label model } } } }'
        found = server.api.data(asked)["profile"]["current"]
        rules = [{**it, "model": HAIKU} if it["role"] == "REFINERY" else it for it in found["rules"]]
        given = {"name": "balanced", "smallModel": found["smallModel"], "rules": rules}
        server.api.done("publishProfileVersion", expectedVersion=1, reason="Merging is easy.", **given)
        apart(add_towns, url, [f"late-{n}" for n in range(3)])  # which are at version 1
        page = visits.open(at, "/profiles/balanced")
        expect(page.get_by_text("Version 2; 4 towns follow it.")).to_be_visible()
        progress = page.get_by_role("progressbar", name="It has reached 1")
        expect(progress).to_have_attribute("max", "4")
