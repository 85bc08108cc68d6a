"""Finding a town, reading its models, and drafting overrides."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visiting import Visits, faults_in_each_theme
from tests.client import Api
from tests.towns import HAIKU, OPUS, SONNET, make_town, publish, rule


def models(visits: Visits, base: str, town_id: str) -> Page:
    """The main page of a town."""
    page = visits.open(base, f"/towns/{town_id}")
    expect(page.get_by_role("heading", name="Advanced overrides")).to_be_visible()
    return page


def test_towns__searched__narrow_and_open(page: Page) -> None:
    expect(page.get_by_role("link", name="Demo town")).to_be_visible()
    search = page.get_by_label("Search by name")
    search.fill("nowhere")
    expect(page.get_by_text("No town has “nowhere” in its name.")).to_be_visible()
    search.fill("demo t")
    page.get_by_role("link", name="Demo town").click()
    expect(page.get_by_role("heading", level=1, name="Demo town")).to_be_visible()
    expect(page).to_have_title("Demo town · Townclerk")


def test_towns__more_than_a_page__are_shown_on_demand(page: Page, api: Api) -> None:
    for _ in range(31):
        make_town(api, rigs=())
    page.reload()
    expect(page.get_by_role("listitem")).to_have_count(30)
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("listitem")).to_have_count(32)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_town__not_there__says_so_with_a_way_on(visits: Visits, base: str) -> None:
    page = visits.open(base, "/towns/atlantis")
    expect(page.get_by_text("There is no town “atlantis”, or it is not yours.")).to_be_visible()
    page.get_by_role("link", name="See the towns").click()
    expect(page.get_by_role("heading", name="Towns")).to_be_visible()


def test_path__not_there__says_so(visits: Visits, base: str) -> None:
    page = visits.open(base, "/towns/demo/nonsense")
    expect(page.get_by_text("There is no such page.")).to_be_visible()


def test_profile__chosen__shows_what_it_expands_to(visits: Visits, base: str, api: Api) -> None:
    page = models(visits, base, make_town(api))
    table = page.get_by_role("table", name="What Balanced (version 1) says")
    expect(table.get_by_role("row", name=f"Mayor {OPUS}")).to_be_visible()
    page.get_by_role("radio", name="Frugal").check()
    table = page.get_by_role("table", name="What Frugal (version 1) says")
    expect(table.get_by_role("row", name=f"Mayor {SONNET}")).to_be_visible()
    expect(page.get_by_text("1 change not published")).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("radio", name="Balanced")).to_be_checked()
    expect(page.get_by_role("region", name="Your draft")).to_be_hidden()


def test_overrides__set_and_given_back__are_counted(visits: Visits, base: str, api: Api) -> None:
    town_id = make_town(api)
    publish(api, town_id, overrides=[rule(SONNET, "MAYOR"), rule(OPUS, "POLECAT", "gt:rework", "web")])
    page = models(visits, base, town_id)
    heading = page.get_by_role("heading", name="Advanced overrides")
    expect(heading).to_have_text("Advanced overrides (2 set)")
    page.get_by_label("Model for Refinery (default)").select_option(HAIKU)
    expect(heading).to_have_text("Advanced overrides (3 set)")
    page.get_by_label("Model for Mayor", exact=True).select_option(f"use profile ({OPUS})")
    page.get_by_label("Model for Polecat — label: gt:rework, rig: web").select_option("use profile (remove)")
    expect(heading).to_have_text("Advanced overrides (1 set)")
    expect(page.get_by_text("3 changes not published")).to_be_visible()


def test_builder__role_by_role__offers_only_what_can_be(visits: Visits, base: str, api: Api) -> None:
    page = models(visits, base, make_town(api))
    page.get_by_role("group").get_by_text("Advanced overrides").click()
    page.get_by_role("button", name="Add override…").click()
    form = page.get_by_role("form", name="Add an override")
    label, rig = form.get_by_label("Only with the label"), form.get_by_label("Only in the rig")
    offered = {}
    for role in ("POLECAT", "REFINERY", "MAYOR", ""):
        form.get_by_label("Role").select_option(role)
        offered[role] = (label.is_visible(), rig.is_visible())
    assert offered == {"POLECAT": (True, True), "REFINERY": (True, True), "MAYOR": (False, False), "": (False, True)}


def test_builder__narrowed_and_then_made_the_mayors__forgets_what_the_mayor_has_not(
    visits: Visits, base: str, api: Api
) -> None:
    page = models(visits, base, make_town(api))
    page.get_by_role("group").get_by_text("Advanced overrides").click()
    page.get_by_role("button", name="Add override…").click()
    form = page.get_by_role("form", name="Add an override")
    form.get_by_label("Only with the label").select_option("gt:rework")
    form.get_by_label("Only in the rig").select_option("web")
    expect(form.get_by_role("status")).to_have_text("Polecat — label: gt:rework, rig: web")
    form.get_by_label("Role").select_option("MAYOR")
    expect(form.get_by_role("status")).to_have_text("Mayor")
    expect(form.get_by_role("button", name="Add to the draft")).to_be_disabled()  # without a model
    form.get_by_label("Runs on").select_option(SONNET)
    form.get_by_role("button", name="Add to the draft").click()
    expect(page.get_by_label("Model for Mayor", exact=True)).to_have_value(SONNET)
    expect(page.get_by_text("the mayor would have to restart")).to_be_visible()


def test_builder__by_keyboard_alone__adds_an_override_and_publishes_it(visits: Visits, base: str, api: Api) -> None:
    page = models(visits, base, make_town(api))

    def reach(role: str, name: str) -> None:
        """Go to what has a role and a name by Tab alone."""
        wanted = page.get_by_role(role, name=name, exact=role == "combobox")  # type: ignore[arg-type]
        expect(wanted).to_be_visible()
        for _ in range(60):
            if wanted.evaluate("it => it === document.activeElement"):
                return
            page.keyboard.press("Tab")
        pytest.fail(f"Tab does not lead to {name}")

    def pick(name: str, typed: str, value: str) -> None:
        reach("combobox", name)
        page.keyboard.type(typed)
        expect(page.get_by_role("combobox", name=name, exact=True)).to_have_value(value)

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    summary = page.locator("summary")  # which has no role that Chromium and ARIA agree on
    while not summary.evaluate("it => it === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    reach("button", "Add override…")
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Role", exact=True)).to_be_focused()
    pick("Role", "Ref", "REFINERY")
    pick("Only with the label", "gt:conv", "gt:convoy")
    pick("Runs on", "Claude Haiku", HAIKU)
    reach("button", "Add to the draft")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Add override…")).to_be_focused()
    expect(page.get_by_label("Model for Refinery — label: gt:convoy")).to_have_value(HAIKU)
    reach("button", "Review")
    expect(page.get_by_role("button", name="Review")).to_be_enabled()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Review and publish")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Review")).to_be_focused()
    for _ in range(20):  # however quickly it is asked for again
        page.keyboard.press("Enter")
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    reach("textbox", "Why?")
    page.keyboard.type("Convoys are simple.")
    reach("button", "Publish as version 2")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Published as version 2.")).to_be_visible()
    expect(page.get_by_text("Version 2,")).to_be_focused()


def test_switch__of_bead_models__is_part_of_the_draft(visits: Visits, base: str, api: Api) -> None:
    page = models(visits, base, make_town(api))
    switch = page.get_by_role("switch", name="Honour models asked for by beads")
    expect(switch).not_to_be_checked()
    switch.check()
    page.get_by_role("button", name="Review").click()
    row = page.get_by_role("dialog").get_by_role("row", name="Models asked for by beads")
    expect(row).to_contain_text("ignored")
    expect(row).to_contain_text("honoured")


# What there is to know about an override

REGISTER = "mutation ($m: [ModelInput!]!) { registerModels(models: $m) { userErrors { code } } }"


def publish_own(api: Api, town_id: str, version: int, fixup: str, merging: str) -> None:
    """Publish the version of a town's own profile that has these models for fixups and for the refinery."""
    rules = [
        (None, None, SONNET),
        ("POLECAT", None, SONNET),
        ("POLECAT", "gt:pr-fixup", fixup),
        ("REFINERY", None, merging),
    ]
    api.done(
        "publishProfileVersion",
        name="custom",
        townId=town_id,
        expectedVersion=version - 1,
        smallModel=HAIKU,
        rules=[{"role": role, "label": label, "model": model} for role, label, model in rules],
        reason="A test says so.",
    )


@pytest.fixture
def remarkable(visits: Visits, base: str, api: Api) -> Page:
    """A town with every kind of override that needs a look, over a profile that changed under them."""
    api.data(REGISTER, m=[{"modelId": "test/old", "displayName": "Old"}])
    town_id = make_town(api)
    publish_own(api, town_id, 1, fixup=HAIKU, merging=SONNET)
    overrides = [
        rule(OPUS, "POLECAT", "gt:pr-fixup"),  # of which the profile says another thing then
        rule(SONNET, "POLECAT"),  # as the profile says
        rule(HAIKU, rig="web"),  # to which the next two leave nothing
        rule(HAIKU, "POLECAT", rig="web"),
        rule(HAIKU, "REFINERY", rig="web"),
        rule(HAIKU, "POLECAT", "gt:rework", "api"),
        rule("test/old", "REFINERY", "gt:convoy"),
    ]
    publish(api, town_id, profile="custom", overrides=overrides)
    publish_own(api, town_id, 2, fixup=SONNET, merging=SONNET)
    api.done("removeRig", townId=town_id, rigId="api")
    api.done("deprecateModel", modelId="test/old", replacedBy=HAIKU)
    return models(visits, base, town_id)


@pytest.mark.parametrize(
    ("title", "mark"),
    [
        ("Polecat — label: gt:pr-fixup", "stale"),
        ("Polecat (default)", "redundant"),
        ("Any role — rig: web", "never matches"),
        ("Polecat — label: gt:rework, rig: api", "rig removed"),
    ],
)
def test_override__that_needs_a_look__is_marked_and_mended_with_one_click(
    remarkable: Page, title: str, mark: str
) -> None:
    row = remarkable.get_by_role("row").filter(
        has=remarkable.get_by_role("combobox", name=f"Model for {title}", exact=True)
    )
    expect(row.get_by_text(mark, exact=True)).to_be_visible()
    row.get_by_role("button", name="Use profile").first.click()
    expect(remarkable.get_by_text("1 change not published")).to_be_visible()
    expect(remarkable.get_by_role("heading", name="Advanced overrides (6 set)")).to_be_visible()


def test_marks__of_every_kind__have_no_fault_that_axe_finds(remarkable: Page) -> None:
    expect(remarkable.get_by_text("stale", exact=True)).to_be_visible()
    assert faults_in_each_theme(remarkable) == []


def test_override__of_a_deprecated_model__moves_to_the_one_in_its_place(remarkable: Page) -> None:
    choice = remarkable.get_by_role("combobox", name="Model for Refinery — label: gt:convoy")
    row = remarkable.get_by_role("row").filter(has=choice)
    expect(row.get_by_text("deprecated model", exact=True)).to_be_visible()
    row.get_by_role("button", name=f"Move to {HAIKU}").click()
    expect(choice).to_have_value(HAIKU)
    expect(row.get_by_text("deprecated model", exact=True)).to_be_hidden()
    expect(choice.get_by_role("option", name="Old")).to_have_count(0)  # it can't be picked anew


def test_profile__with_a_deprecated_model__is_marked_and_overridden_with_one_click(
    visits: Visits, base: str, api: Api
) -> None:
    api.data(REGISTER, m=[{"modelId": "test/older", "displayName": "Older"}])
    town_id = make_town(api)
    publish_own(api, town_id, 1, fixup=HAIKU, merging="test/older")
    api.done("selectProfile", townId=town_id, expectedVersion=1, profile="custom", reason="Our own.")
    api.done("deprecateModel", modelId="test/older", replacedBy=SONNET)
    page = models(visits, base, town_id)
    row = page.get_by_role("table", name="What Custom (version 1) says").get_by_role("row", name="Refinery")
    expect(row).to_contain_text("deprecated model")
    row.get_by_role("button", name=f"Override with {SONNET}").click()
    expect(page.get_by_label("Model for Refinery (default)")).to_have_value(SONNET)
