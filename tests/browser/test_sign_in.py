"""Who is let in, how, and what they are offered."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from api.demo import seed_demo
from tests.browser.visiting import Visits, apart, faults_in_each_theme
from tests.chains import with_store
from tests.client import Api
from tests.e2e.process import serving_process
from tests.issuer import AUDIENCE, SCOPES, TOWNS, Issuer, issuer
from tests.tokens import make_token, revoke
from tests.towns import OPUS, make_town

UNAUTHORIZED = "status of 401"  # which Chromium writes to the console


@pytest.fixture(scope="module")
def it() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


@pytest.fixture
def oidc(it: Issuer) -> Issuer:
    """The issuer as it is to begin with."""
    it.scopes, it.denies = ("reader",), False
    return it


@pytest.fixture(scope="module")
def api(browser: Browser, url: str, it: Issuer) -> Iterator[Api]:  # noqa: ARG001  # no server where there is no browser
    """A Townclerk that asks everyone who they are, with the demo town."""
    apart(with_store, url, seed_demo)
    with serving_process(
        url,
        dev=False,
        oidc_issuer=it.url,
        oidc_audience=AUDIENCE,
        oidc_client_id="pages",
        oidc_scopes_claim=SCOPES,
        oidc_towns_claim=TOWNS,
    ) as server:
        yield server.api


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("API token").fill(token)
    page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.fixture
def signed_in(visits: Visits, base: str, url: str, request: pytest.FixtureRequest) -> Page:
    """The list of towns as someone with the scopes that a test is parametrised by has it; in a new browser."""
    page = visits.open(base)
    sign_in(page, apart(make_token, url, *request.param, name="+".join(request.param)))
    expect(page.get_by_role("heading", name="Towns")).to_be_visible()
    return page


# With a token


@pytest.mark.parametrize("signed_in", [["reader"]], indirect=True)
def test_token__pasted_once__is_kept_for_the_tab_and_for_nobody_else(
    signed_in: Page, visits: Visits, base: str
) -> None:
    expect(signed_in.get_by_text("reader")).to_be_visible()
    signed_in.reload()
    expect(signed_in.get_by_role("link", name="Demo town")).to_be_visible()
    expect(visits.open(base).get_by_label("API token")).to_be_visible()  # in another browser
    tab = signed_in.context.new_page()
    tab.goto(base)
    expect(tab.get_by_label("API token")).to_be_visible()
    signed_in.get_by_role("button", name="Sign out").click()
    expect(signed_in.get_by_label("API token")).to_be_visible()
    expect(signed_in.get_by_role("alert")).to_be_hidden()
    signed_in.reload()
    expect(signed_in.get_by_label("API token")).to_be_visible()


def test_token__that_is_wrong__is_refused_with_a_message(visits: Visits, base: str, url: str) -> None:
    visits.expected.append(UNAUTHORIZED)
    page = visits.open(base, "/towns/demo")
    sign_in(page, "tck_0123456789abcdef_nonsense")
    expect(page.get_by_role("alert")).to_contain_text("token")
    assert faults_in_each_theme(page) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    sign_in(page, f" {apart(make_token, url, 'reader')} ")  # as it comes with what was copied around it
    expect(page.get_by_role("heading", name="Demo town")).to_be_visible()  # where they wanted to be


def test_token__revoked_while_a_feed_is_open__leads_back_to_sign_in(visits: Visits, base: str, url: str) -> None:
    visits.expected.append(UNAUTHORIZED)
    page = visits.open(base, "/towns/demo/mayor")
    token = apart(make_token, url, "reader")
    sign_in(page, token)
    expect(page.get_by_text("Live:")).to_be_visible()
    apart(revoke, url, token)
    expect(page.get_by_label("API token")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("token")


def test_token__revoked_meanwhile__leads_back_to_sign_in(visits: Visits, base: str, url: str) -> None:
    visits.expected.append(UNAUTHORIZED)
    page = visits.open(base)
    token = apart(make_token, url, "editor")
    sign_in(page, token)
    page.get_by_role("link", name="Demo town").click()
    expect(page.get_by_label("Model for Mayor", exact=True)).to_be_visible()
    apart(revoke, url, token)
    page.get_by_label("Model for Mayor", exact=True).select_option(OPUS)  # which asks what it would change
    expect(page.get_by_label("API token")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("token")
    page.reload()
    expect(page.get_by_label("API token")).to_be_visible()


def test_token__of_some_towns__sees_no_other(visits: Visits, base: str, url: str, api: Api) -> None:
    theirs = make_town(api.holding(apart(make_token, url, "admin", "editor")))
    page = visits.open(base)
    sign_in(page, apart(make_token, url, "admin", towns=[theirs]))
    expect(page.get_by_role("listitem")).to_have_count(1)
    expect(page.get_by_role("link", name=theirs)).to_be_visible()
    expect(page.get_by_role("link", name="Profiles")).to_be_hidden()
    page.goto(f"{base}/towns/demo")
    expect(page.get_by_text("There is no town “demo”, or it is not yours.")).to_be_visible()


# What is offered


@pytest.mark.parametrize("signed_in", [["reader"]], indirect=True)
def test_reader__anywhere__is_offered_nothing_that_changes_anything(signed_in: Page) -> None:
    page = signed_in
    page.evaluate(  # left by someone else in this browser
        """localStorage.setItem("townclerk.draft.demo", JSON.stringify({ base: 2, profile: "frugal", overrides: [],
            honorBeadModels: true, was: { profile: "balanced", overrides: [], honorBeadModels: false } }))"""
    )
    expect(page.get_by_role("link", name="Profiles")).to_be_hidden()
    page.get_by_role("link", name="Demo town").click()
    choices = page.get_by_role("combobox").or_(page.get_by_role("radio")).or_(page.get_by_role("switch"))
    expect(choices.first).to_be_visible()
    assert all(each.is_disabled() for each in choices.all())
    expect(page.get_by_role("button", name="Add override…")).to_be_hidden()
    expect(page.get_by_role("complementary", name="Your draft")).to_be_hidden()
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("link", name="As it was then").first).to_be_visible()
    expect(page.get_by_role("button", name="Revert to this…")).to_be_hidden()
    expect(page.get_by_role("region", name="Record")).to_be_hidden()
    expect(page.get_by_text("takes a credential of scope auditor")).to_be_visible()
    page.goto("/profiles/balanced")
    expect(page.get_by_text("Profiles are kept by those with the scope admin")).to_be_visible()


@pytest.mark.parametrize("signed_in", [["auditor"]], indirect=True)
def test_auditor__of_a_town__has_its_record_and_no_more(signed_in: Page) -> None:
    signed_in.goto("/towns/demo/history")
    signed_in.get_by_role("button", name="Verify").click()
    expect(signed_in.get_by_text("Nobody touched the record")).to_be_visible()
    with signed_in.expect_download() as begun:
        signed_in.get_by_role("button", name="Export as CSV").click()
    assert begun.value.suggested_filename == "townclerk-audit-demo.csv"
    expect(signed_in.get_by_role("button", name="Revert to this…")).to_be_hidden()


@pytest.mark.parametrize("signed_in", [["editor"]], indirect=True)
def test_editor__of_a_town__may_change_it_and_see_no_record(signed_in: Page) -> None:
    signed_in.get_by_role("link", name="Demo town").click()
    expect(signed_in.get_by_role("button", name="Add override…")).to_be_enabled()
    signed_in.get_by_role("link", name="History").click()
    expect(signed_in.get_by_role("button", name="Revert to this…")).to_be_visible()
    expect(signed_in.get_by_role("region", name="Record")).to_be_hidden()


@pytest.mark.parametrize("signed_in", [["admin"]], indirect=True)
def test_admin__of_all_towns__keeps_the_profiles(signed_in: Page) -> None:
    signed_in.get_by_role("link", name="Profiles").click()
    signed_in.get_by_role("link", name="Balanced").click()
    expect(signed_in.get_by_role("button", name="Draft the next version")).to_be_visible()


@pytest.mark.parametrize("signed_in", [["dispatcher"]], indirect=True)
def test_dispatcher__who_may_look_at_no_town__is_told_what_it_takes(signed_in: Page) -> None:
    expect(signed_in.get_by_text("it takes the scope reader")).to_be_visible()
    signed_in.goto("/towns/demo")
    expect(signed_in.get_by_role("alert")).to_contain_text("reader")


# Elsewhere


@pytest.fixture
def elsewhere(visits: Visits, base: str, oidc: Issuer) -> Page:
    """A page deep inside, to someone who is to sign in with an issuer."""
    visits.hosts.append(oidc.url.removeprefix("http://"))
    return visits.open(base, "/towns/demo/mayor")


def leave(page: Page, oidc: Issuer) -> None:
    page.get_by_role("button", name=f"Sign in with {oidc.url.removeprefix('http://')}").click()


def test_issuer__that_lets_someone_in__leads_back_to_where_they_were(elsewhere: Page, oidc: Issuer) -> None:
    leave(elsewhere, oidc)
    expect(elsewhere.get_by_role("heading", name="Demo town")).to_be_visible()
    assert elsewhere.url.endswith("/towns/demo/mayor")
    elsewhere.reload()
    expect(elsewhere.get_by_role("heading", name="Demo town")).to_be_visible()


def test_issuer__that_grants_scopes__decides_what_is_offered(elsewhere: Page, oidc: Issuer) -> None:
    oidc.scopes = ("editor",)
    leave(elsewhere, oidc)
    elsewhere.get_by_role("link", name="Models").click()
    expect(elsewhere.get_by_role("button", name="Add override…")).to_be_enabled()


def test_issuer__that_denies__is_told_of_and_can_be_tried_again(elsewhere: Page, oidc: Issuer) -> None:
    oidc.denies = True
    leave(elsewhere, oidc)
    expect(elsewhere.get_by_role("alert")).to_contain_text("Signing in did not work")
    oidc.denies = False
    leave(elsewhere, oidc)
    expect(elsewhere.get_by_role("heading", name="Demo town")).to_be_visible()


def test_issuer__that_is_down__is_told_of(elsewhere: Page, oidc: Issuer, visits: Visits) -> None:
    visits.expected.append("status of 503")
    oidc.is_down = True
    try:
        leave(elsewhere, oidc)
        expect(elsewhere.get_by_role("alert")).to_contain_text("The issuer can't be reached")
    finally:
        oidc.is_down = False


def test_return__that_nobody_here_began__signs_no_one_in(visits: Visits, base: str, oidc: Issuer) -> None:
    page = visits.open(base, f"/?code=stolen&state=made-up&iss={oidc.url}")
    expect(page.get_by_label("API token")).to_be_visible()
