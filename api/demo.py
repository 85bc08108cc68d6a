"""The demo town: twelve beads as a host has them, on the profile balanced with two overrides."""

from typing import Final

from models.domain.errors import Refused
from models.domain.rules import DraftRule
from models.domain.vocabulary import BeadStatus, BeadType, Role
from models.services.access import COMMAND_LINE, built_in
from models.services.beads import SyncedBead, sync_beads
from models.services.decisions import Draft
from models.services.publishing import Publication, publish_override_set
from models.services.towns import NewRig, NewTown, create_town, register_rig
from models.store.paging import Slice
from models.store.queries import towns
from models.store.unit import Store

TOWN_ID: Final = "demo"


def _bead(
    bead_id: str,
    title: str,
    *labels: str,
    rig_id: str | None = "web",
    bead_type: BeadType = BeadType.ISSUE,
    status: BeadStatus = BeadStatus.OPEN,
    model: str | None = None,
) -> SyncedBead:
    return SyncedBead(
        bead_id=bead_id,
        rig_id=rig_id,
        type=bead_type,
        status=status,
        title=title,
        labels=labels,
        role=None,
        model=model,
    )


BEADS: Final = (
    _bead("demo-oauth", "Sign in with OAuth: authorisation code flow with PKCE"),
    _bead("demo-helper", "Add a helper file for slugs", rig_id="api", model="kilo/kilo-auto/frontier"),
    _bead(
        "demo-flaky",
        "Find out why test_checkout fails one time in fifty",
        status=BeadStatus.IN_PROGRESS,
        model="anthropic/claude-opus-4.7",
    ),
    _bead("demo-fixup", "Lint: unused import in cart.ts", "gt:pr-fixup"),
    _bead("demo-feedback", "Answer the review of the cart", "gt:pr-feedback", status=BeadStatus.IN_REVIEW),
    _bead("demo-conflict", "Rebase the checkout branch", "gt:pr-conflict", rig_id="api"),
    _bead("demo-rework", "Rework the price rounding", "gt:rework", rig_id="api"),
    _bead("demo-triage", "Triage batch: 14 events", "gt:triage", rig_id=None),
    _bead("demo-merge", "Merge the slug helper", "gt:merge-request", rig_id="api", bead_type=BeadType.MERGE_REQUEST),
    _bead("demo-convoy", "Land the checkout convoy", "gt:merge-request", "gt:convoy", bead_type=BeadType.MERGE_REQUEST),
    _bead("demo-held", "Pin the formatter's version", "gt:held", "gt:pr-fixup"),
    _bead(
        "demo-escalation",
        "Payments fail in staging and the logs are empty",
        "gt:escalation",
        "severity:high",
        bead_type=BeadType.ESCALATION,
    ),
)


async def seed_demo(store: Store, *, only_if_empty: bool = False) -> bool:
    """Make the demo town, and tell whether it was made: not where it exists, nor beside others if `only_if_empty`."""
    async with store.read() as session:
        page = await towns.towns_page(session, name_contains=None, wanted=Slice(first=1))
        there = bool(await towns.towns(session, [TOWN_ID]))
    if there or (only_if_empty and page.rows):
        return False
    caller = built_in(COMMAND_LINE, request_id="demo")
    try:
        await create_town(store, caller, NewTown(town_id=TOWN_ID, name="Demo town"), profile="balanced")
    except Refused:
        return False  # another process was quicker
    for rig_id, name in (("web", "Web shop"), ("api", "Public API")):
        await register_rig(store, caller, TOWN_ID, NewRig(rig_id=rig_id, name=name))
    overrides = (
        DraftRule(role=Role.MAYOR, model="anthropic/claude-sonnet-4.6"),
        DraftRule(role=Role.POLECAT, label="gt:pr-fixup", rig_id="web", model="anthropic/claude-sonnet-4.6"),
    )
    publication = Publication(
        town_id=TOWN_ID, expected_version=1, reason="Plan on Sonnet; the web shop's fixups are no small matter."
    )
    await sync_beads(store, caller, TOWN_ID, BEADS)
    await publish_override_set(store, caller, publication, Draft(overrides=overrides))
    return True
