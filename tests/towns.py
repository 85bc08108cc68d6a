"""Ready-made towns for tests."""

import itertools
from typing import Any

from tests.client import Api
from tests.reference import ProfileJson, Question

OPUS = "anthropic/claude-opus-4.7"
SONNET = "anthropic/claude-sonnet-4.6"
HAIKU = "anthropic/claude-haiku-4.5"
KILO = "kilo/kilo-auto/frontier"

USER_ERRORS = "userErrors { code path message }"

_NUMBERS = itertools.count(1)


def make_town(api: Api, *, rigs: tuple[str, ...] = ("web", "api"), profile: str = "balanced") -> str:
    """A new town with rigs, all asked in one document; gives its id."""
    town_id = f"town-{next(_NUMBERS)}"
    given = {f"r{n}": {"townId": town_id, "rigId": rig_id, "name": rig_id.title()} for n, rig_id in enumerate(rigs)}
    declared = "".join(f", ${name}: RegisterRigInput!" for name in given)
    registered = " ".join(f"{name}: registerRig(input: ${name}) {{ {USER_ERRORS} }}" for name in given)
    query = f"""mutation ($t: CreateTownInput!{declared}) {{
        t: createTown(input: $t) {{ {USER_ERRORS} }} {registered}
    }}"""
    answers = api.data(query, t={"townId": town_id, "name": f"Town {town_id}", "profile": profile}, **given)
    refused = {name: answer["userErrors"] for name, answer in answers.items() if answer["userErrors"]}
    assert refused == {}
    return town_id


def rule(model: str, role: str | None = None, label: str | None = None, rig: str | None = None) -> dict[str, Any]:
    """A rule as an input."""
    return {"role": role, "label": label, "rigId": rig, "model": model}


def publish(api: Api, town_id: str, fields: str = "currentVersion", **draft: Any) -> dict[str, Any]:
    """Publish a draft on the version in force; it has to take effect."""
    return api.done(
        "publishOverrideSet",
        fields,
        townId=town_id,
        expectedVersion=api.version(town_id),
        draft=draft,
        reason="A test says so.",
    )


def sync(api: Api, town_id: str, *beads: dict[str, Any]) -> None:
    """Sync beads, each given by what is not the default; a bead id has to be unique over all towns."""
    api.done("syncBeads", townId=town_id, beads=list(beads))


def make_own_profile(api: Api, town_id: str, profile: ProfileJson) -> None:
    """Make a profile of the town's own, which the town does not follow yet."""
    api.done(
        "publishProfileVersion",
        name=profile["name"],
        townId=town_id,
        expectedVersion=0,
        smallModel=profile["smallModel"],
        rules=profile["rules"],
        reason="A test says so.",
    )


def configure(api: Api, town_id: str, question: Question) -> None:
    """Bring a town to the configuration of the corpus' `question`, whose profile has to be there."""
    profile = question["profile"]
    draft = {
        "profile": profile if isinstance(profile, str) else profile["name"],
        "honorBeadModels": question["honorBeadModels"],
        "overrides": question["overrides"],
    }
    version = api.version(town_id)
    refusals = api.refusals(
        "publishOverrideSet", townId=town_id, expectedVersion=version, draft=draft, reason="A test says so."
    )
    assert refusals in ([], [("NO_CHANGE", ["draft"])]), refusals
