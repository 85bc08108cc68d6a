"""Someone who changes this and that in two towns and at the centre, at random: what a seed gives is always the same."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, Final

from tests.client import Api, Json, SteppingClock
from tests.contract.recipes import Call, codes, send
from tests.reference import FRONTIER, HAIKU, OPUS, SONNET

CREATED, IMPORTED = "harbour", "mill"
TOWNS: Final = (CREATED, IMPORTED)
SHARED: Final = "tidal"  # a central profile that moves
OWN: Final = "custom"
RIGS: Final = ("web", "api", "docs")
BEADS: Final = 25  # in each town

_REASON: Final = "A random history says so."
_LABELS: Final = ("gt:triage", "gt:rework", "gt:pr-fixup", "gt:pr-conflict")
_MODELS: Final = (OPUS, SONNET, HAIKU, FRONTIER)
_PAUSES: Final = (
    timedelta(),
    timedelta(microseconds=1),
    timedelta(seconds=1),
    timedelta(hours=5),
    timedelta(days=9),
)


def bead_ids(town_id: str) -> list[str]:
    return [f"{town_id}-{number}" for number in range(BEADS)]


class RandomHistory:
    """The steps of a history, each of which changes something. `begun` are the towns that are there by now."""

    def __init__(self, api: Api, clock: SteppingClock, seed: int) -> None:
        self.begun: list[str] = []
        self._api = api
        self._clock = clock
        self._random = Random(seed)  # noqa: S311  # no secret
        self._rigs: dict[str, set[str]] = {}
        self._beads: dict[str, dict[str, Json]] = {}
        self._versions = {SHARED: 0, **dict.fromkeys(TOWNS, 0)}  # of profiles: the shared one, and each town's own

    def steps(self, count: int) -> Iterator[None]:
        """Make one step at a time: a beginning, `count` at random, and one that brings the beads still to come."""
        self._publish_shared_profile()
        for begin in (self._create, *self._rigs_of_created(), self._import, self._sync_first):
            begin()
            yield
        moves = self._moves()
        for number in range(count):
            self._clock.now += self._pause(number - count // 2)
            while not self._random.choice(moves)(self._random.choice(TOWNS)):
                pass  # nothing would have changed
            yield
        for town_id in TOWNS:
            self._sync(town_id, bead_ids(town_id))
        yield

    def _pause(self, number: int) -> timedelta:
        """How far the clock moves before a step: half way, at 0, back by an hour; near to that not at all."""
        if number == 0:
            return -timedelta(hours=1)
        return timedelta() if -10 < number < 10 else self._random.choice(_PAUSES)

    def _moves(self) -> list[Callable[[str], bool]]:
        often = [self._sync_some] * 5 + [self._publish, self._set_override] * 3
        sometimes = [self._select_profile, self._revert, self._remove_override, self._move_rig] * 2
        at_the_centre = [self._publish_shared] * 3 + [self._register_model, self._deprecate_model]
        return [*often, *sometimes, *at_the_centre, self._publish_own, self._publish_own, self._observe, self._retitle]

    # ------------------------------------------------------------ beginnings

    def _create(self) -> None:
        self._api.done("createTown", townId=CREATED, name="Harbour", profile=SHARED)
        self._begin(CREATED)

    def _rigs_of_created(self) -> list[Callable[[], object]]:
        return [partial(self._register_rig, CREATED, rig) for rig in RIGS[:2]]

    def _import(self) -> None:
        config = {"default_model": SONNET, "small_model": HAIKU, "role_models": {"mayor": OPUS, "polecat": FRONTIER}}
        rigs = [{"rigId": rig, "name": rig, "config": {"role_models": {"refinery": OPUS}}} for rig in RIGS[:2]]
        self._api.done("importTown", townId=IMPORTED, name="Mill", config=config, rigs=rigs)
        self._begin(IMPORTED)
        self._rigs[IMPORTED].update(RIGS[:2])
        self._versions[IMPORTED] = 1

    def _begin(self, town_id: str) -> None:
        self.begun.append(town_id)
        self._rigs[town_id], self._beads[town_id] = set(), {}

    def _sync_first(self) -> None:
        for town_id in TOWNS:
            self._sync(town_id, bead_ids(town_id)[: BEADS // 2])

    # ------------------------------------------------------------ steps in a town

    def _publish(self, town_id: str) -> bool:
        draft: Json = {"overrides": self._rules(self._rigs[town_id], most=9)}
        if self._random.random() < 0.5:
            draft["honorBeadModels"] = self._random.random() < 0.6
        if self._random.random() < 0.2:
            draft["profile"] = self._profile(town_id)
        return self._on_version("publishOverrideSet", town_id, draft=draft)

    def _set_override(self, town_id: str) -> bool:
        return self._on_version("setOverride", town_id, override=self._rule(self._rigs[town_id]))

    def _remove_override(self, town_id: str) -> bool:
        query = "query ($t: ID!) { town(townId: $t) { overrideSet { overrides { role label rigId } } } }"
        there = self._api.data(query, t=town_id)["town"]["overrideSet"]["overrides"]
        return bool(there) and self._on_version("removeOverride", town_id, **self._random.choice(there))

    def _select_profile(self, town_id: str) -> bool:
        return self._on_version("selectProfile", town_id, profile=self._profile(town_id))

    def _revert(self, town_id: str) -> bool:
        version = self._random.randint(1, self._api.version(town_id))
        return self._on_version("revertOverrideSet", town_id, toVersion=version)

    def _publish_own(self, town_id: str) -> bool:
        return self._publish_profile(town_id, name=OWN, townId=town_id)

    def _move_rig(self, town_id: str) -> bool:
        rig = self._random.choice(RIGS)
        if rig not in self._rigs[town_id]:
            return self._register_rig(town_id, rig)
        self._rigs[town_id].remove(rig)
        return self._changes("removeRig", townId=town_id, rigId=rig)

    def _register_rig(self, town_id: str, rig: str) -> bool:
        self._rigs[town_id].add(rig)
        return self._changes("registerRig", townId=town_id, rigId=rig, name=f"Rig {rig}")

    def _observe(self, town_id: str) -> bool:
        observed = {"model": self._random.choice(_MODELS), "smallModel": HAIKU}
        return self._changes("detectMayorChange", townId=town_id, observed=observed)

    def _sync_some(self, town_id: str) -> bool:
        return self._sync(town_id, self._random.sample(bead_ids(town_id), self._random.randint(1, 6)))

    def _retitle(self, town_id: str) -> bool:
        """A sync that makes no revision; it may put a bead into a rig that is gone, and is not sent then."""
        bead = self._beads[town_id][self._random.choice(sorted(self._beads[town_id]))]
        bead["title"] = f"Title {self._random.random()}"
        return bead["rigId"] in {None, *self._rigs[town_id]} and self._changes(
            "syncBeads", townId=town_id, beads=[bead]
        )

    def _sync(self, town_id: str, ids: Sequence[str]) -> bool:
        """Change one thing about each bead, or two; beads that are new are as chance has it."""
        beads = self._beads[town_id]
        for bead_id in ids:
            now = self._bead(bead_id, sorted(self._rigs[town_id]))
            then = beads.get(bead_id, now)
            kept = {name: then[name] for name in self._random.sample(sorted(then), len(then) - 2) if name != "rigId"}
            beads[bead_id] = {**now, **kept}
        return self._changes("syncBeads", townId=town_id, beads=[beads[bead_id] for bead_id in ids])

    # ------------------------------------------------------------ steps at the centre

    def _publish_shared(self, _town_id: str) -> bool:
        return self._publish_shared_profile()

    def _publish_shared_profile(self) -> bool:
        return self._publish_profile(SHARED, name=SHARED)

    def _publish_profile(self, counted_as: str, **given: Any) -> bool:
        done = self._changes(
            "publishProfileVersion",
            expectedVersion=self._versions[counted_as],
            smallModel=self._random.choice(_MODELS),
            rules=self._rules((), most=7),
            reason=_REASON,
            **given,
        )
        self._versions[counted_as] += done
        return done

    def _register_model(self, _town_id: str) -> bool:
        models = [{"modelId": f"some/model-{self._random.randrange(10**6)}"}]
        return codes(send(self._api, "registerModels", Call(town_id="", arguments={"models": models}))) == []

    def _deprecate_model(self, _town_id: str) -> bool:
        model = self._random.choice(_MODELS)
        return self._changes("deprecateModel", modelId=model)

    # ------------------------------------------------------------ what chance has it be

    def _on_version(self, mutation: str, town_id: str, **given: Any) -> bool:
        version = self._api.version(town_id)
        return self._changes(mutation, townId=town_id, expectedVersion=version, reason=_REASON, **given)

    def _changes(self, mutation: str, **given: Any) -> bool:
        """Whether a mutation changed something; one that is refused for any other reason fails the test."""
        refusals = {code for code, _ in self._api.refusals(mutation, **given)}
        assert refusals <= {"NO_CHANGE"}, (mutation, refusals)
        return refusals == set()

    def _profile(self, town_id: str) -> str:
        own = [OWN] if self._versions[town_id] else []
        return self._random.choice(["frugal", "balanced", "premium", SHARED, SHARED, *own, *own])

    def _bead(self, bead_id: str, rigs: Sequence[str]) -> Json:
        pick = self._random.choice
        return {
            "beadId": bead_id,
            "title": f"Title {self._random.random()}",
            "type": pick(["ISSUE", "MERGE_REQUEST", "MOLECULE"]),
            "status": pick(["OPEN", "IN_PROGRESS", "CLOSED"]),
            "labels": self._random.sample([*_LABELS, "wip", "gt:held"], self._random.randint(0, 3)),
            "role": pick([None, None, "MAYOR", "POLECAT", "REFINERY"]),
            "rigId": pick([None, *rigs]),
            "model": pick([None, OPUS, "qwen/qwen3-coder:free"]),
        }

    def _rules(self, rigs: Sequence[str] | set[str], *, most: int) -> list[Json]:
        rules = [self._rule(rigs) for _ in range(self._random.randint(0, most))]
        return list({(rule["role"], rule["label"], rule["rigId"]): rule for rule in rules}.values())

    def _rule(self, rigs: Sequence[str] | set[str]) -> Json:
        role = self._random.choice([None, "MAYOR", "POLECAT", "POLECAT", "REFINERY"])
        labels = _LABELS if role in {"POLECAT", "REFINERY"} else ()
        places = () if role == "MAYOR" else sorted(rigs)
        return {
            "role": role,
            "label": self._random.choice([None, *labels]),
            "rigId": self._random.choice([None, *places]),
            "model": self._random.choice(_MODELS),
        }
