"""What is answered by compiled operations is answered by the executor in the very same bytes.

A document that nobody has sent before is always executed; sent anew, it is compiled if it can be, and then run so. Each
is sent as text of its own, several times.
"""

import gc
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client import Api, serving
from tests.property.dispatching import Dispatcher, Reader, asked
from tests.property.documents import Post
from tests.property.strategies import THOROUGH
from tests.sizes import sized
from tests.tokens import make_token
from tests.towns import make_town, publish, rule, sync

SENT: Final = settings(
    THOROUGH,
    max_examples=sized("compiled documents", quick=150, ci=600, full=1000),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
WAYS: Final = re.compile(r'townclerk_graphql_operations_total\{way="(\w+)"\} (\d+)')
WRONG: Final = b'"errors":'
MODEL: Final = "kilo/kilo-auto/frontier"
BEADS: Final[list[dict[str, Any]]] = [
    {
        "type": "ISSUE",
        "labels": ["gt:pr-fixup", "gt:rework", "odd"],
        "rigId": "web",
        "model": MODEL,
    },
    {"type": "MERGE_REQUEST", "rigId": "api"},
    {"type": "ISSUE", "role": "MAYOR", "rigId": "web", "model": MODEL},
    {"type": "ESCALATION", "role": "POLECAT"},
]
_numbers: Final = itertools.count()


@dataclass(frozen=True)
class Scene:
    """Towns with beads, and servers over them: for developers, and for tokens; for the latter with small limits too."""

    towns: list[str]
    beads: list[str]
    askers: list[Api]
    dev: Api


@pytest.fixture(scope="module")
def scene(dev: Api, shut: Api) -> Iterator[Scene]:
    towns = [make_town(dev) for _ in range(3)]
    beads = []
    for town_id in towns:
        ids = [f"{town_id}-{number}" for number in range(len(BEADS))]
        named = ({"beadId": each, "title": each, "status": "OPEN"} for each in ids)
        sync(dev, town_id, *(name | bead for name, bead in zip(named, BEADS, strict=True)))
        beads += ids
    opus, haiku = "anthropic/claude-opus-4.7", "anthropic/claude-haiku-4.5"
    overrides = [rule(opus, "POLECAT", "gt:pr-fixup"), rule(haiku, rig="web"), rule(haiku, "MAYOR")]
    publish(dev, towns[0], honorBeadModels=True, overrides=overrides)
    dev.done("detectMayorChange", townId=towns[0], observed={"model": opus, "smallModel": haiku})
    tokens = [make_token(dev.url, "dispatcher"), make_token(dev.url, "reader", towns=towns[:2])]
    limits: dict[str, Any] = {
        "max_query_fields": 6,
        "max_query_cost": 30,
        "max_query_aliases": 1,
        "max_body_bytes": 1000,
    }
    with serving(dev.url, dev=False, rollout_interval_seconds=3600, **limits) as narrow:
        servers = [shut, *(shut.holding(token) for token in tokens), narrow.holding(tokens[1])]
        yield Scene(towns, beads, [dev, *servers], dev)


def ways(api: Api) -> Counter[str]:
    return Counter({way: int(count) for way, count in WAYS.findall(api.http.get("/metrics").text)})


def send(api: Api, post: Post) -> tuple[int, bytes]:
    return api.post(post.body, {"X-Request-Id": "the-same"})


@pytest.fixture
def all_let_go() -> Iterator[None]:
    """Coroutines that the executor has left unawaited, where an error ended them before they began, are gone after."""
    yield
    gc.collect()


@pytest.mark.usefixtures("all_let_go")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize(("author", "as_many"), [(Dispatcher, 4), (Reader, 10)])  # have something in them that is wrong
def test_document__sent_again__is_compiled_often_and_answered_with_the_same_bytes(
    scene: Scene, author: type[Reader], as_many: int
) -> None:
    sent = dict.fromkeys(scene.askers, 0)

    @SENT
    @given(post=asked(scene.beads, scene.towns, author), asker=st.sampled_from(scene.askers))
    def again(post: Post, asker: Api) -> None:
        new = replace(post, query=f"# {next(_numbers)}\n{post.query}")
        sent[asker] += 1
        executed = send(asker, new)
        others = [send(asker, new) for _ in range(2)]
        if author is Reader and WRONG in executed[1]:  # the executor's, which may end at the one error or at the other
            assert all(WRONG in answer for _, answer in others)
        else:
            assert others == [executed] * 2

    before = ways(scene.dev)
    again()
    compiled, executed = (ways(scene.dev)[way] - before[way] for way in ("compiled", "executed"))
    new = sent[scene.dev]
    assert compiled + executed == 3 * new
    assert compiled > (executed - new) / as_many


KNOWN: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "viewer": ("{ viewer { name scopes towns } }", {}),
    "a page": ("{ towns(first: 2) { edges { cursor node { townId name } } pageInfo { hasNextPage endCursor } } }", {}),
    "a bead": ("query($b: ID!) { bead(beadId: $b) { title labels town { name } rig { name } } }", {}),
    "as of a version": ("query($b: ID!, $v: Int!) { resolution(beadId: $b, asOf: {version: $v}) { model } }", {"v": 2}),
    "the set in force": (
        "query($t: ID!) { town(townId: $t) { overrideSet { version effectiveRules { rule { key model } source } } } }",
        {},
    ),
    "a history": (
        """query($t: ID!) {
          town(townId: $t) { auditEntries(first: 3) { edges { node { action actor { displayName } } } } }
        }""",
        {},
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_query__of_any_kind__is_compiled_when_it_is_sent_again(scene: Scene, name: str) -> None:
    query, variables = KNOWN[name]
    there = {"b": scene.beads[0], "t": scene.towns[0], **variables}
    given: dict[str, Any] = {each: value for each, value in there.items() if f"${each}:" in query}
    first, *others = [scene.dev.data(query, **given) for _ in range(3)]
    before = ways(scene.dev)
    assert [first, scene.dev.data(query, **given)] == others
    assert ways(scene.dev)["compiled"] == before["compiled"] + 1


BESIDE: Final = """{ profile(name: "balanced") {
  a: current { townsFollowing %s }
  b: version(number: 1) { townsFollowing }
} }"""


@pytest.mark.parametrize(
    "broken", ["profile { versions(first: 0) { pageInfo { hasNextPage } } }", "diff(against: 999) { key }"]
)
def test_read__that_a_part_which_fails_shares_with_another__is_told_to_the_other(scene: Scene, broken: str) -> None:
    for _ in range(4):
        answer = json.loads(scene.dev.post(json.dumps({"query": BESIDE % broken}).encode())[1])
        assert [each["path"][:2] for each in answer["errors"]] == [["profile", "a"]]
        assert [each["extensions"]["code"] for each in answer["errors"]] != ["DEADLINE"]


TASKED: Final = "query ($t: ID!, $r: ID) { taskResolution(townId: $t, task: {rigId: $r}) { model } }"


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"1", b"1.0", b"true"])
def test_variable__that_is_nearly_the_one_before__is_not_taken_for_it(scene: Scene, number: bytes) -> None:
    body = json.dumps({"query": TASKED, "variables": {"t": scene.towns[0], "r": None}}).encode()
    for _ in range(3):
        assert b"model" in scene.dev.post(body)[1]
    other = body.replace(b"null", number)
    new = other.replace(b'{ model } }"', b'{ model } } "')
    assert scene.dev.post(other, {"X-Request-Id": "the-same"}) == scene.dev.post(new, {"X-Request-Id": "the-same"})
