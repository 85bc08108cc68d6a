"""How each row of the table of permissions is asked for, and what an answer says."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from tests.client import Api, Json
from tests.contract.recipes import RECIPES, Call, Recipe, document, profile_input
from tests.permissions import FORBIDDEN, YES, Row
from tests.towns import HAIKU, KILO, SONNET, publish, rule, sync

Headers = Mapping[str, str]

# What ids of a town and of all that is in it differ in, and no more: its own, another's, and one never made.
OWN: Final = "0wn"
OTHER: Final = "h1s"
NEVER: Final = "n1l"
STEM: Final = "STEM"
TOWN: Final = f"manor-{STEM}"
BEAD: Final = f"bead-{STEM}"

_NONE: Final[Headers] = MappingProxyType({})

_ERRORS: Final = "userErrors { code message path }"
_DRAFT: Final = (
    f'{{name: "custom", townId: "{TOWN}", smallModel: "{HAIKU}", '
    f'rules: [{{model: "{SONNET}"}}, {{role: MAYOR, model: "{HAIKU}"}}]}}'
)


def town_id(stem: str) -> str:
    return TOWN.replace(STEM, stem)


def bead_id(stem: str) -> str:
    return BEAD.replace(STEM, stem)


def global_id(*key: str | int) -> str:
    """As Townclerk makes them; that it does is seen by those that are found."""
    text = json.dumps(key, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


NODES: Final[Mapping[str, tuple[str | int, ...]]] = MappingProxyType(
    {
        "Town": (TOWN,),
        "Rig": (TOWN, "web"),
        "Bead": (BEAD,),
        "Profile": (TOWN, "custom"),
        "ProfileVersion": (TOWN, "custom", 1),
        "OverrideSet": (TOWN, 2),
        "AuditEntry": (TOWN, 1),
    }
)


def node_id(kind: str, stem: str) -> str:
    """The global id of the one thing of its kind in a town."""
    return global_id(kind, *(part.replace(STEM, stem) if isinstance(part, str) else part for part in NODES[kind]))


def make_place(api: Api, stem: str) -> None:
    """Make a town with one of everything in it, at version 3, whose mayor is to restart."""
    it = town_id(stem)
    api.done("createTown", townId=it, name=f"Manor {stem}")
    api.done("registerRig", townId=it, rigId="web", name="Web")
    sync(api, it, {"beadId": bead_id(stem), "rigId": "web"})
    api.done("publishProfileVersion", **profile_input("custom", 0, townId=it))
    api.done("selectProfile", townId=it, expectedVersion=1, profile="custom", reason="A test says so.")
    publish(api, it, overrides=[rule(KILO, "MAYOR")])


@dataclass(frozen=True, kw_only=True)
class Question:
    """A document, or what is got at a path, of a town by its stem; and what the answer shows to whoever may ask."""

    document: str = ""
    path: str = ""
    shows: str = ""

    def about(self, stem: str) -> str:
        """The document, of one town."""
        text = self.document.replace(STEM, stem)
        for kind in NODES:
            text = text.replace(f'"{kind} {stem}"', f'"{node_id(kind, stem)}"')
        return text


def _of(document: str, shows: str = TOWN) -> Question:
    return Question(document=document, shows=shows)


def _below_town(fields: str, shows: str = TOWN) -> Question:
    return _of(f'{{ town(townId: "{TOWN}") {{ {fields} }} }}', shows)


_SIX_NODES: Final = " ".join(f'{kind}: node(id: "{kind} {STEM}") {{ id }}' for kind in NODES if kind != "AuditEntry")
_IN_TOWN: Final = "town { townId }"

# Every row that is no mutation, by its name.
QUESTIONS: Final[Mapping[str, Question]] = MappingProxyType(
    {
        "Query.viewer": _of("{ viewer { scopes } }", '"scopes":["'),
        "Query.node": _of(f"{{ {_SIX_NODES} }}", '"Town":{"id":'),
        "Query.node_of_an_entry_of_a_town": _of(
            f'{{ node(id: "AuditEntry {STEM}") {{ ... on AuditEntry {{ townId }} }} }}'
        ),
        "Query.node_of_a_central_entry": _of(
            f'{{ node(id: "{global_id("AuditEntry", "@central", 1)}") {{ ... on AuditEntry {{ sequence }} }} }}',
            '"sequence":1',
        ),
        "Query.town": _of(f'{{ town(townId: "{TOWN}") {{ townId name createdAt }} }}'),
        "Query.towns": _of(f'{{ towns(nameContains: "manor {STEM}") {{ edges {{ node {{ townId }} }} }} }}'),
        "Query.bead": _of(f'{{ bead(beadId: "{BEAD}") {{ {_IN_TOWN} }} }}'),
        "Query.resolution": _of(f'{{ resolution(beadId: "{BEAD}") {{ townId }} }}'),
        "Query.resolutions": _of(
            f'{{ resolutions(beadIds: ["{BEAD}"]) {{ resolution {{ townId }} error {{ code message path }} }} }}'
        ),
        "Query.taskResolution": _of(
            f'{{ taskResolution(townId: "{TOWN}", task: {{role: POLECAT, rigId: "web"}}) {{ townId }} }}'
        ),
        "Query.profile": _of(f'{{ profile(name: "custom", townId: "{TOWN}") {{ {_IN_TOWN} }} }}'),
        "Query.profiles": _of(f'{{ profiles(townId: "{TOWN}") {{ {_IN_TOWN} }} }}'),
        "Query.labels": _of("{ labels { name } }", '"name":"gt:triage"'),
        "Query.models": _of("{ models { modelId } }", KILO),
        "Query.preview": _of(
            f'{{ preview(townId: "{TOWN}", draft: {{honorBeadModels: true}}) {{ baseVersion {_ERRORS} }} }}',
            '"baseVersion":3',
        ),
        "Query.previewProfileVersion": _of(
            f"{{ previewProfileVersion(draft: {_DRAFT}) {{ townsFollowing {_ERRORS} }} }}", '"townsFollowing":1'
        ),
        "Query.auditEntries_of_a_town": _of(
            f'{{ auditEntries(townId: "{TOWN}") {{ edges {{ node {{ townId }} }} }} }}'
        ),
        "Query.auditEntries_of_the_centre": _of(
            "{ auditEntries { edges { node { townId action } } } }", '"action":"TOKEN_CREATED"'
        ),
        "Query.auditHead_of_a_town": _of(f'{{ auditHead(townId: "{TOWN}") {{ townId }} }}'),
        "Query.auditHead_of_the_centre": _of("{ auditHead { townId } }", '"townId":null'),
        "Query.verifyAudit_of_a_town": _of(f'{{ verifyAudit(townId: "{TOWN}") {{ ok townId }} }}'),
        "Query.verifyAudit_of_the_centre": _of("{ verifyAudit { ok } }", '"ok":true'),
        "Town.overrideSet": _below_town(f"overrideSet {{ {_IN_TOWN} }}"),
        "Town.overrideSetAt": _below_town(f"overrideSetAt(asOf: {{version: 1}}) {{ {_IN_TOWN} }}"),
        "Town.overrideSets": _below_town(f"overrideSets {{ edges {{ node {{ {_IN_TOWN} }} }} }}"),
        "Town.effectiveRules": _below_town("effectiveRules { rule { model } }", KILO),
        "Town.warnings": _below_town("warnings { code }", '"warnings":['),
        "Town.rigs": _below_town(f"rigs {{ {_IN_TOWN} }}"),
        "Town.beads": _below_town(f"beads {{ edges {{ node {{ {_IN_TOWN} }} }} }}"),
        "Town.auditEntries": _below_town("auditEntries { edges { node { townId } } }"),
        "Town.mayor": _below_town("mayor { signal { townId } }"),
        "Town.defaultResolution": _below_town("defaultResolution { townId }"),
        "Bead.revisions": _of(
            f'{{ bead(beadId: "{BEAD}") {{ revisions {{ edges {{ node {{ revision }} }} }} }} }}', '"revision":1'
        ),
        "Subscription.mayorRestartSignals": _of(
            f'subscription {{ mayorRestartSignals(townId: "{TOWN}") {{ townId }} }}'
        ),
        "Subscription.auditFeed": _of(f'subscription {{ auditFeed(townId: "{TOWN}") {{ townId }} }}'),
        "GET_/audit/export_of_a_town": Question(path=f"/audit/export?townId={TOWN}", shows=TOWN),
        "GET_/audit/export_of_the_centre": Question(path="/audit/export", shows='"chain":"@central"'),
        "GET_/metrics": Question(path="/metrics", shows="townclerk_database_up 1.0"),
        "introspection,_suggestions": _of("{ __schema { queryType { name } } }", '"name":"Query"'),
    }
)

_CASES: Final = {
    "Mutation.publishProfileVersion_of_a_town's_own": "own_unfollowed",
    "Mutation.publishProfileVersion_of_a_central_one": "central_followed",
}


def recipe_of(row: Row) -> Recipe:
    """How the mutation of a row is made to take effect."""
    recipes = [recipe for recipe in RECIPES if recipe.mutation == row.field]
    return next(recipe for recipe in recipes if recipe.case == _CASES.get(str(row), recipe.case))


# The status that a code comes with.
_OF_GRAPHQL: Final[Mapping[str, int]] = MappingProxyType({"UNAUTHENTICATED": 401})
_OF_FILES: Final[Mapping[str, int]] = MappingProxyType({**_OF_GRAPHQL, FORBIDDEN: 403, "NOT_FOUND": 404})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer as it came; `body` is what is in it, for a stream of events that of the first.

    `shows` is what it holds where it is given at all.
    """

    status: int
    body: bytes
    shows: str = field(default="", compare=False)
    is_file: bool = field(default=False, compare=False)

    @property
    def verdict(self) -> str:
        """`yes`, or what it says instead: a code, `null`, or `left out` for a list that is empty.

        Fails where it is neither, or says one thing here and another there.
        """
        verdict = self._verdict()
        assert verdict != YES or self.shows in self.body.decode(), self.body
        return verdict

    def renamed(self, name: str, other: str) -> "Answer":
        """The same with another id, of the same length, in the place of one."""
        assert len(name) == len(other)
        return replace(self, body=self.body.replace(name.encode(), other.encode()))

    def _verdict(self) -> str:
        if self.is_file and self.status == 200:
            return YES
        answer: Json = json.loads(self.body)
        if "errors" in answer:
            assert _is_empty(answer.get("data")), f"some of it is answered: {answer}"
            code = _only({error["extensions"]["code"] for error in answer["errors"]})
            assert self.status == (_OF_FILES if self.is_file else _OF_GRAPHQL).get(code, 200)
            return code
        return _only({_said(value) for value in answer["data"].values()})


def _is_empty(value: Any) -> bool:
    return all(map(_is_empty, value.values())) if isinstance(value, dict) else value is None


def _said(value: Any) -> str:
    """What is said by the value of one field of the root."""
    if value is None:
        return "null"
    if isinstance(value, list):
        errors = [each["error"] for each in value if each.get("error") is not None]
        return _only({error["code"] for error in errors}) if errors else YES
    if value.get("userErrors"):
        return _only({error["code"] for error in value["userErrors"]})
    return "left out" if value.get("edges") == [] else YES


def _only(said: set[str]) -> str:
    assert len(said) == 1, said
    return said.pop()


def ask(api: Api, question: Question, stem: str, headers: Headers = _NONE) -> Answer:
    """What a Townclerk answers to a question about a town."""
    shows = question.shows.replace(STEM, stem)
    if not question.path:
        return _posted(api, question.about(stem), {}, shows, headers)
    response = api.http.get(question.path.replace(STEM, stem), headers={**api.credential, **headers})
    return Answer(status=response.status_code, body=response.content, shows=shows, is_file=True)


def ask_for(api: Api, mutation: str, call: Call, headers: Headers = _NONE) -> Answer:
    """What it answers to a mutation."""
    text = document(mutation, call, "userErrors { message }")
    return _posted(api, text, call.arguments, '"userErrors":[]', headers)


def _posted(api: Api, text: str, variables: Json, shows: str, headers: Headers) -> Answer:
    """What a document is answered, over a stream of events where it is a subscription."""
    body = json.dumps({"query": text, "variables": variables}).encode()
    if not text.startswith("subscription"):
        status, answered = api.post(body, headers)
        return Answer(status=status, body=answered, shows=shows)
    status, answered = api.post(body, {"accept": "text/event-stream", **headers})
    events = [line.removeprefix(b"data: ") for line in answered.splitlines() if line.startswith(b"data: ")]
    return Answer(status=status, body=events[0] if events else answered, shows=shows)
