"""Bad input: a town to be bad to, values that are, and the proof that a refusal left nothing behind."""

import itertools
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from tests.client import Api, Json, NearApi
from tests.towns import HAIKU, KILO, OPUS, SONNET, rule

Path = list[str]
Problem = tuple[str, Path | None]

TOWN, OTHER = "here", "elsewhere"
RIG, REMOVED_RIG, OTHERS_RIG = "web", "gone", "afar"
BEAD, OTHERS_BEAD = "bead-1", "bead-afar"
VERSION = 3

NUL, SURROGATE, ZERO_WIDTH, CYRILLIC_A = "\x00", "\ud800", "\u200b", "\u0430"
LONG = "x" * 10_000
TOO_LARGE = 2**31

BAD_LABELS = {
    "without gt:": "pr-fixup",
    "unknown": "gt:nope",
    "a known one's beginning": "gt:pr",
    "a known one and more": "gt:triage-request",
    "in capitals": "GT:PR-FIXUP",
    "in mixed case": "gt:Pr-Fixup",
    "with a zero-width character": f"gt:pr{ZERO_WIDTH}-fixup",
    "with a space at the end": "gt:pr-fixup ",
    "empty": "",
    "with NUL": f"gt:pr-fixup{NUL}",
    "with a lone surrogate": f"gt:{SURROGATE}",
    "10,000 characters": LONG,
}
BAD_RIGS = {
    "never registered": "nowhere",
    "removed": REMOVED_RIG,
    "of another town": OTHERS_RIG,
    "in capitals": RIG.upper(),
    "empty": "",
    "blank": " ",
    "with NUL": f"web{NUL}",
    "with a lone surrogate": f"web{SURROGATE}",
    "10,000 characters": LONG,
}
BAD_MODELS = {
    "empty": "",
    "blank": "   ",
    "10,000 characters": LONG,
    "201 characters": "m" * 201,
    "with a tab": "anthropic/\tclaude",
    "with an escape sequence": "anthropic/\x1b[31mclaude",
    "with a line feed at the end": f"{OPUS}\n",
    "with NUL": f"{OPUS}{NUL}",
    "a lone surrogate": SURROGATE,
    "with a Cyrillic letter": f"{CYRILLIC_A}nthropic/claude-opus-4.7",
    "with a zero-width character": f"{OPUS}{ZERO_WIDTH}",
    "with a slash at the beginning": f"/{OPUS}",
}
BAD_IDS = {
    "empty": "",
    "blank": " ",
    "with NUL": NUL,
    "with a lone surrogate": SURROGATE,
    "with a space": "a b",
    "with a dash first": "-a",
    "with a line feed at the end": "a\n",
    "not ASCII": CYRILLIC_A,
    "129 characters": "a" * 129,
    "10,000 characters": LONG,
}
BAD_NAMES = {
    "empty": "",
    "blank": " \t\n",
    "201 characters": "n" * 201,
    "with NUL": f"name{NUL}",
    "with a lone surrogate": f"name{SURROGATE}",
}
BAD_REASONS = {
    "empty": "",
    "blank": " \t\n",
    "501 characters": "r" * 501,
    "10,000 characters": LONG,
    "with NUL": f"why{NUL}",
    "with a lone surrogate": f"why{SURROGATE}",
}
BAD_PROFILES = {
    "unknown": "nope",
    "of another town": "custom",
    "in capitals": "Balanced",
    "empty": "",
    "with NUL": f"balanced{NUL}",
    "with a lone surrogate": SURROGATE,
    "10,000 characters": LONG,
}
NOT_THERE = {"never made": "nowhere", "the central chain": "@central", **BAD_IDS}
ODDEST = ("never made", "the central chain", "empty", "with NUL", "with a lone surrogate", "10,000 characters")

_PUBLISH: Json = {"townId": TOWN, "expectedVersion": VERSION, "reason": "A test says so."}

# What each mutation takes without complaint, so that a case says only what is wrong with it.
GOOD: dict[str, Json] = {
    "createTown": {"townId": "new-town", "name": "New"},
    "importTown": {"townId": "new-town", "name": "New", "config": {}},
    "registerRig": {"townId": TOWN, "rigId": "new-rig", "name": "New"},
    "removeRig": {"townId": TOWN, "rigId": RIG},
    "syncBeads": {"townId": TOWN, "beads": [{"beadId": "new-bead"}]},
    "publishOverrideSet": {**_PUBLISH, "draft": {"honorBeadModels": True}},
    "selectProfile": {**_PUBLISH, "profile": "frugal"},
    "setOverride": {**_PUBLISH, "override": rule(OPUS, "REFINERY")},
    "removeOverride": {**_PUBLISH, "role": "POLECAT"},
    "revertOverrideSet": {**_PUBLISH, "toVersion": 1},
    "publishProfileVersion": {
        "name": "balanced",
        "expectedVersion": 1,
        "smallModel": HAIKU,
        "rules": [rule(OPUS)],
        "reason": "A test says so.",
    },
    "deprecateModel": {"modelId": KILO},
    "detectMayorChange": {"townId": TOWN, "observed": {"model": SONNET, "smallModel": HAIKU}},
}
PUBLISHES = ("publishOverrideSet", "selectProfile", "setOverride", "removeOverride", "revertOverrideSet")

_STANDING = """
query ($town: ID!, $other: ID!) {
  town(townId: $town) { overrideSet { version } }
  new: town(townId: "new-town") { townId }
  audit: auditHead(townId: $town) { sequence }
  otherAudit: auditHead(townId: $other) { sequence }
  centralAudit: auditHead { sequence }
}
"""
_TITLES = (f"Good request {number}" for number in itertools.count(1))


class AsciiApi(NearApi):
    """Sends JSON with escapes, which is the only way that lone surrogates travel."""

    def execute(self, query: str, /, *, headers: dict[str, str] | None = None, **variables: Any) -> Json:
        body = json.dumps({"query": query, "variables": variables})
        status, sent = self.post(body.encode("ascii"), headers)
        assert status < 500, sent
        answer: Json = json.loads(sent)
        return answer


def furnish(api: Api) -> AsciiApi:
    """Make the towns that the cases speak of. `TOWN` stands at `VERSION`, and no case may move it."""
    api.done("createTown", townId=TOWN, name="Here")
    for rig_id in (RIG, REMOVED_RIG):
        api.done("registerRig", townId=TOWN, rigId=rig_id, name=rig_id)
    for status in ("OPEN", "IN_PROGRESS"):
        api.done("syncBeads", townId=TOWN, beads=[{"beadId": BEAD, "status": status}, {"beadId": "bead-2"}])
    api.done("detectMayorChange", **GOOD["detectMayorChange"])
    for version, override in enumerate((rule(OPUS, "POLECAT", rig=REMOVED_RIG), rule(OPUS, "POLECAT")), start=1):
        draft = {"overrides": [override]}
        api.done("publishOverrideSet", **{**GOOD["publishOverrideSet"], "expectedVersion": version, "draft": draft})
    api.done("removeRig", townId=TOWN, rigId=REMOVED_RIG)
    api.done("importTown", townId=OTHER, name="Elsewhere", config={"default_model": SONNET})
    api.done("registerRig", townId=OTHER, rigId=OTHERS_RIG, name="Afar")
    api.done("syncBeads", townId=OTHER, beads=[{"beadId": OTHERS_BEAD}])
    return AsciiApi(api.http, api.url)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the log, which by default draws the locals of a deep failure for minutes."""
    configured = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**configured)


@contextmanager
def unchanged(api: Api) -> Iterator[Json]:
    """What is done inside leaves no entry in any chain, and the version in force; gives how things stood before."""
    standing = api.data(_STANDING, town=TOWN, other=OTHER)
    yield standing
    assert api.data(_STANDING, town=TOWN, other=OTHER) == standing


@contextmanager
def nothing_written(api: Api) -> Iterator[None]:
    """The same, and the next good request takes effect."""
    with unchanged(api) as standing:
        yield
        good = {"beadId": BEAD, "status": "IN_PROGRESS", "title": next(_TITLES)}
        assert api.done("syncBeads", "beads { title }", townId=TOWN, beads=[good])["beads"] == [
            {"title": good["title"]}
        ]
        standing["audit"]["sequence"] += 1


def refused(api: Api, mutation: str, given: Json) -> list[tuple[str, Path]]:
    """(code, path) of each reason why `mutation` is refused, sorted; `given` is all that is not good about it."""
    return refused_each(api, mutation, {"it": given})["it"]


def refused_each(api: Api, mutation: str, givens: Mapping[str, Json]) -> dict[str, list[tuple[str, Path]]]:
    """The same for several requests, by their names."""
    with nothing_written(api):
        return {name: sorted(api.refusals(mutation, **{**GOOD[mutation], **given})) for name, given in givens.items()}


def failed(api: Api, query: str, /, **variables: Any) -> list[Problem]:
    """(code, path) of each GraphQL error that a query ends in."""
    return failed_each(api, query, {"it": variables})["it"]


def failed_each(api: Api, query: str, variables: Mapping[str, Json]) -> dict[str, list[Problem]]:
    """The same for several sets of variables, by their names. The version in force is asked for afterwards."""
    found = {name: problems_of(api.execute(query, **given)) for name, given in variables.items()}
    assert api.version(TOWN) == VERSION
    return found


def problems_of(answer: Json) -> list[Problem]:
    """(code, path) of each GraphQL error; no path where the error is about the document or its variables."""
    extensions = [error["extensions"] for error in answer.get("errors", [])]
    return [(each["code"], each.get("path")) for each in extensions]
