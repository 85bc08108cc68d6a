"""Every connection of the schema: its pages, of whatever size, are the whole list in order, also while others write."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest

from tests.client import Api, Json, serving
from tests.towns import HAIKU, OPUS, SONNET, make_own_profile, make_town, publish, rule, sync

ENDINGS: Final = ("B", "a", "A", "b", "a-10", "a-2", "a_")  # their order by bytes is not a dictionary's
NUMBERS: Final = itertools.count(1)
PAGE: Final = "edges {{ cursor node {{ {node} }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A town of whose every list there is more than a page; `mark` is in the ids of its beads and of other towns."""

    api: Api
    town: str
    mark: str = field(default_factory=lambda: f"mark{next(NUMBERS)}x")
    towns: list[str] = field(default_factory=list)
    steps: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    def build(cls, api: Api) -> "Scene":
        scene = cls(api=api, town=make_town(api, rigs=()))
        sync(api, scene.town, *({"beadId": bead_id} for bead_id in scene.beads))
        publish(api, scene.town, overrides=[rule(OPUS, role="POLECAT")])  # version 2: every bead changes
        make_own_profile(api, scene.town, {"name": "custom", "version": 1, "smallModel": HAIKU, "rules": []})
        for _ in ENDINGS:
            for add in (scene.add_town, scene.add_revision, scene.add_override_set, scene.add_profile_version):
                add()
        return scene

    @property
    def beads(self) -> list[str]:
        """Those that are there from the beginning."""
        return sorted(f"{self.mark}.{ending}" for ending in ENDINGS)

    def add_town(self) -> None:
        step = next(self.steps)
        town_id = f"{ENDINGS[step % len(ENDINGS)]}{step}.{self.mark}".lstrip("_")
        self.api.done("createTown", townId=town_id, name=f"Called {self.mark}")
        self.towns.append(town_id)

    def add_bead(self) -> None:
        """In turn before, among and after those there are."""
        step = next(self.steps)
        before = ("a.", "", "z.")[step % 3]
        sync(self.api, self.town, {"beadId": f"{before}{self.mark}.a-1{step}"})

    def add_revision(self) -> None:
        sync(self.api, self.town, {"beadId": self.beads[0], "labels": [f"state-{next(self.steps)}"]})

    def add_override_set(self) -> None:
        """With a restart signal, as the mayor's model is another one each time."""
        mayor = rule((SONNET, HAIKU)[self.version % 2], role="MAYOR")
        publish(self.api, self.town, overrides=[rule(OPUS, role="POLECAT"), mayor])

    def add_profile_version(self) -> None:
        latest = self.latest_profile_version
        self.api.done(
            "publishProfileVersion",
            name="custom",
            townId=self.town,
            expectedVersion=latest,
            smallModel=(SONNET, OPUS)[latest % 2],
            rules=[],
            reason="A test says so.",
        )

    @property
    def version(self) -> int:
        return self.api.version(self.town)

    @property
    def latest_profile_version(self) -> int:
        query = 'query ($t: ID!) { profile(name: "custom", townId: $t) { current { version } } }'
        found: int = self.api.data(query, t=self.town)["profile"]["current"]["version"]
        return found

    def last_entry(self, town_id: str | None) -> int:
        found: int = self.api.data("query ($t: ID) { auditHead(townId: $t) { sequence } }", t=town_id)["auditHead"][
            "sequence"
        ]
        return found


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A connection: how it is asked for, what is in it, in order, and what others write to it meanwhile."""

    field: str
    path: Callable[[Scene], tuple[str, ...]]
    node: str
    whole: Callable[[Scene], list[Any]]
    write: Callable[[Scene], None]

    def page(self, scene: Scene, first: int, after: str | None) -> Json:
        path = self.path(scene)
        fields = PAGE.format(node=self.node)
        *outer, last = path
        arguments = "first: $first, after: $after"
        inner = f"{last[:-1]}, {arguments})" if last.endswith(")") else f"{last}({arguments})"
        for selection in (inner, *reversed(outer)):
            fields = f"{selection} {{ {fields} }}"
        found = scene.api.data(f"query ($first: Int!, $after: String) {{ {fields} }}", first=first, after=after)
        for selection in path:
            found = found[selection.partition("(")[0]]
        return found

    def pages(self, scene: Scene, size: int) -> Iterator[Json]:
        after: str | None = None
        while True:
            page = self.page(scene, size, after)
            yield page
            if not page["pageInfo"]["hasNextPage"]:
                return
            assert page["pageInfo"]["endCursor"] not in {after, None}, "it would go on for ever"
            after = page["pageInfo"]["endCursor"]


def counted_down(number: int) -> list[int]:
    return list(range(number, 0, -1))


def in_town(scene: Scene) -> str:
    return f'town(townId: "{scene.town}")'


LISTINGS: Final = {
    "towns": Listing(
        field="Query.towns",
        path=lambda scene: (f'towns(nameContains: "CALLED {scene.mark}")',),
        node="townId",
        whole=lambda scene: sorted(scene.towns),
        write=Scene.add_town,
    ),
    "beads": Listing(
        field="Town.beads",
        path=lambda scene: (in_town(scene), "beads"),
        node="beadId",
        whole=lambda scene: scene.beads,
        write=Scene.add_bead,
    ),
    "revisions": Listing(
        field="Bead.revisions",
        path=lambda scene: (f'bead(beadId: "{scene.beads[0]}")', "revisions"),
        node="revision",
        whole=lambda _: counted_down(1 + len(ENDINGS)),
        write=Scene.add_revision,
    ),
    "override sets": Listing(
        field="Town.overrideSets",
        path=lambda scene: (in_town(scene), "overrideSets"),
        node="version",
        whole=lambda scene: counted_down(scene.version),
        write=Scene.add_override_set,
    ),
    "signals": Listing(
        field="Mayor.signals",
        path=lambda scene: (in_town(scene), "mayor", "signals"),
        node="sequence",
        whole=lambda scene: counted_down(scene.version - 2),
        write=Scene.add_override_set,
    ),
    "profile versions": Listing(
        field="Profile.versions",
        path=lambda scene: (f'profile(name: "custom", townId: "{scene.town}")', "versions"),
        node="version",
        whole=lambda scene: counted_down(scene.latest_profile_version),
        write=Scene.add_profile_version,
    ),
    "a town's entries": Listing(
        field="Town.auditEntries",
        path=lambda scene: (in_town(scene), "auditEntries"),
        node="sequence",
        whole=lambda scene: counted_down(scene.last_entry(scene.town)),
        write=Scene.add_override_set,
    ),
    "entries": Listing(
        field="Query.auditEntries",
        path=lambda scene: (f'auditEntries(townId: "{scene.town}")',),
        node="sequence",
        whole=lambda scene: counted_down(scene.last_entry(scene.town)),
        write=Scene.add_override_set,
    ),
    "central entries": Listing(
        field="Query.auditEntries",
        path=lambda _: ("auditEntries",),
        node="sequence",
        whole=lambda scene: counted_down(scene.last_entry(None)),
        write=Scene.add_profile_version,
    ),
    "beads changed by a publish": Listing(
        field="ChangeDetection.changedBeads",
        path=lambda scene: (
            in_town(scene),
            "overrideSetAt(asOf: {version: 2})",
            "changeDetection",
            "changedBeads",
        ),
        node="bead { beadId }",
        whole=lambda scene: scene.beads,
        write=Scene.add_bead,
    ),
    "beads changed by a preview": Listing(
        field="ChangeDetection.changedBeads",
        path=lambda scene: (
            f'preview(townId: "{scene.town}", draft: {{overrides: []}})',
            "changeDetection",
            "changedBeads",
        ),
        node="bead { beadId }",
        whole=lambda scene: scene.beads,
        write=Scene.add_bead,
    ),
}

every_listing = pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS.keys())


@pytest.fixture(scope="module")
def scene(shared_api: Api) -> Scene:
    return Scene.build(shared_api)


@pytest.fixture(scope="module")
def busy_scene(shared_api: Api) -> Scene:
    """One in which others may write."""
    return Scene.build(shared_api)


@pytest.fixture(scope="module")
def elsewhere(shared_api: Api) -> Iterator[Api]:
    """Another Townclerk over the same database."""
    with serving(shared_api.url) as other:
        yield other


def test_listings__as_tested_here__are_every_connection_of_the_schema(scene: Scene) -> None:
    query = "query { __schema { types { name fields { name type { name ofType { name } } } } } }"
    found = set()
    for kind in scene.api.data(query)["__schema"]["types"]:
        for each in kind["fields"] or ():
            named = each["type"]["name"] or each["type"]["ofType"]["name"] or ""
            if named.endswith("Connection"):
                found.add(f"{kind['name']}.{each['name']}")
    assert found == {listing.field for listing in LISTINGS.values()}


@every_listing
@pytest.mark.parametrize("size", [1, 3, 200])
def test_pages__of_any_size__are_the_whole_list_in_order(scene: Scene, listing: Listing, size: int) -> None:
    whole = listing.whole(scene)
    assert len(whole) >= len(ENDINGS)
    pages = list(listing.pages(scene, size))
    assert [keys_of(page) for page in pages] == [whole[begin : begin + size] for begin in range(0, len(whole), size)]


@every_listing
def test_page_info__of_each_page__tells_where_it_stands(scene: Scene, listing: Listing) -> None:
    pages = list(listing.pages(scene, 3))
    for number, page in enumerate(pages):
        cursors = [edge["cursor"] for edge in page["edges"]]
        assert page["pageInfo"] == {
            "hasNextPage": number < len(pages) - 1,
            "hasPreviousPage": number > 0,
            "startCursor": cursors[0],
            "endCursor": cursors[-1],
        }


@every_listing
def test_cursor__of_any_edge__is_where_the_next_page_begins(scene: Scene, listing: Listing) -> None:
    whole = listing.page(scene, 200, None)["edges"]
    for number in (0, 1, len(whole) - 1):
        assert listing.page(scene, 200, whole[number]["cursor"])["edges"] == whole[number + 1 :]


@every_listing
def test_pages__while_others_write__hold_all_that_was_there_once_and_in_order(
    busy_scene: Scene, elsewhere: Api, listing: Listing
) -> None:
    there = listing.whole(busy_scene)
    pages = listing.pages(busy_scene, len(there) // 3)
    found = []
    with ThreadPoolExecutor(1) as pool:
        page: Json | None = {"edges": []}
        while page is not None:
            found += keys_of(page)
            written = pool.submit(listing.write, replace(busy_scene, api=elsewhere))
            page = next(pages, None)  # read while that is being written
            written.result()
    assert len(found) == len(set(found))
    assert [key for key in found if key in there] == there


def keys_of(page: Json) -> list[Any]:
    keys = []
    for edge in page["edges"]:
        key = edge["node"]
        while isinstance(key, dict):
            (key,) = key.values()
        keys.append(key)
    return keys
