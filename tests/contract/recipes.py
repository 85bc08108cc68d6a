"""For every mutation: how to make it succeed, how to spoil it, and the audit entries that it then leaves."""

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from tests.client import Api, Json
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, publish, rule

T = TypeVar("T")

REASON: Final = "A test says so."
_NUMBERS: Final = itertools.count(1)


def unique(stem: str) -> str:
    """A name that nothing else has in the databases of this process."""
    return f"{stem}-{next(_NUMBERS)}"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A mutation's arguments, and the town whose chain it would write to."""

    town_id: str
    arguments: Json

    def with_input(self, **fields: Any) -> "Call":
        """The same call with other input fields."""
        if "input" not in self.arguments:
            return Call(town_id=self.town_id, arguments={**self.arguments, **fields})
        return Call(town_id=self.town_id, arguments={"input": {**self.arguments["input"], **fields}})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to make a mutation take effect.

    `town` and `central` are the actions of the entries it leaves in each chain; `spoilt` are input fields with which
    it is refused; `reply` is what identifies what it made. `altered` is another body, for those that take a key.
    """

    mutation: str
    case: str
    prepare: Callable[[Api], Call]
    spoilt: Json
    town: tuple[str, ...] = ()
    central: tuple[str, ...] = ()
    reply: str = "__typename"
    altered: Json = field(default_factory=dict)

    @property
    def takes_key(self) -> bool:
        return bool(self.altered)

    def __str__(self) -> str:
        return f"{self.mutation}-{self.case}"


def document(mutation: str, call: Call, reply: str = "__typename") -> str:
    """The document that a call is sent by, with its arguments as variables."""
    kinds = {"models": "[ModelInput!]!", "input": f"{mutation[0].upper()}{mutation[1:]}Input!"}
    declared = ", ".join(f"${name}: {kinds[name]}" for name in call.arguments)
    given = ", ".join(f"{name}: ${name}" for name in call.arguments)
    return f"mutation ({declared}) {{ it: {mutation}({given}) {{ {reply} userErrors {{ code path }} }} }}"


def send(api: Api, mutation: str, call: Call, reply: str = "__typename", headers: dict[str, str] | None = None) -> Json:
    """The payload of a mutation that may be refused; a GraphQL error fails the test."""
    payload: Json = api.data(document(mutation, call, reply), headers=headers, **call.arguments)["it"]
    return payload


def codes(payload: Json) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


def mutations(api: Api) -> dict[str, bool]:
    """Every mutation that the schema has, by introspection, and whether it takes an idempotency key."""
    query = """{ __schema { mutationType { fields {
        name args { type { ofType { inputFields { name } } } }
    } } } }"""
    return {
        found["name"]: any(
            "idempotencyKey" in {given["name"] for given in argument["type"]["ofType"]["inputFields"] or ()}
            for argument in found["args"]
        )
        for found in api.data(query)["__schema"]["mutationType"]["fields"]
    }


def chain_lengths(api: Api, town_id: str) -> tuple[int, int]:
    """How many entries the town's chain has (none where there is no such town), and how many the central one."""
    query = """query ($t: ID!) {
        town(townId: $t) { auditEntries(first: 1) { edges { node { sequence } } } } auditHead { sequence }
    }"""
    found = api.data(query, t=town_id)
    in_town = 0 if found["town"] is None else found["town"]["auditEntries"]["edges"][0]["node"]["sequence"]
    return in_town, found["auditHead"]["sequence"]


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The results of calls that are let loose together, in the order of the calls."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def profile_input(name: str, expected_version: int, *, mayor: str = OPUS, **fields: Any) -> Json:
    """The input of a profile's next version; `mayor` is what tells one version from another."""
    return {
        "name": name,
        "expectedVersion": expected_version,
        "smallModel": HAIKU,
        "rules": [rule(SONNET), rule(mayor, "MAYOR"), rule(SONNET, "POLECAT")],
        "reason": REASON,
        **fields,
    }


def own_profile(api: Api, town_id: str, name: str = "custom", **fields: Any) -> str:
    """Have a town that is at version 1 follow a new profile of its own, which makes version 2; gives its name."""
    api.done("publishProfileVersion", **profile_input(name, 0, townId=town_id, **fields))
    api.done("selectProfile", townId=town_id, expectedVersion=1, profile=name, reason=REASON)
    return name


def followed_profile(api: Api) -> tuple[str, str]:
    """A new central profile at version 1, and a town that follows it."""
    name = unique("shared")
    api.done("publishProfileVersion", **profile_input(name, 0))
    return name, make_town(api, rigs=(), profile=name)


# ---------------------------------------------------------------- the recipes


def _input(town_id: str, **fields: Any) -> Call:
    return Call(town_id=town_id, arguments={"input": {"townId": town_id, **fields}})


def _publish(town_id: str, expected_version: int, **fields: Any) -> Call:
    return _input(town_id, expectedVersion=expected_version, reason=REASON, **fields)


def _create_town(_api: Api) -> Call:
    return _input(unique("made"), name="A town")


def _import_known(_api: Api) -> Call:
    return _input(unique("imported"), name="A town", config={"default_model": OPUS}, rigs=[])


def _import_unknown(_api: Api) -> Call:
    return _input(unique("imported"), name="A town", config={"default_model": unique("some/model")}, rigs=[])


def _register_rig(api: Api) -> Call:
    return _input(make_town(api, rigs=()), rigId="web", name="Web")


def _revive_rig(api: Api) -> Call:
    town_id = make_town(api, rigs=("web",))
    api.done("removeRig", townId=town_id, rigId="web")
    return _input(town_id, rigId="web", name="Web again")


def _remove_rig(api: Api) -> Call:
    return _input(make_town(api, rigs=("web",)), rigId="web")


def _sync_beads(api: Api) -> Call:
    return _input(make_town(api, rigs=()), beads=[{"beadId": unique("bead")}, {"beadId": unique("bead")}])


def _publish_override_set(api: Api) -> Call:
    return _publish(make_town(api, rigs=()), 1, draft={"honorBeadModels": True})


def _select_profile(api: Api) -> Call:
    return _publish(make_town(api, rigs=()), 1, profile="frugal")


def _set_override(api: Api) -> Call:
    return _publish(make_town(api, rigs=()), 1, override=rule(SONNET, "MAYOR"))


def _renew_override(api: Api) -> Call:
    town_id = make_town(api, rigs=())
    name = own_profile(api, town_id)
    publish(api, town_id, overrides=[rule(KILO, "MAYOR")])
    api.done("publishProfileVersion", **profile_input(name, 1, mayor=HAIKU, townId=town_id))
    return _publish(town_id, 4, override=rule(KILO, "MAYOR"))


def _with_override(api: Api) -> str:
    town_id = make_town(api, rigs=())
    publish(api, town_id, overrides=[rule(SONNET, "MAYOR")])
    return town_id


def _remove_override(api: Api) -> Call:
    return _publish(_with_override(api), 2, role="MAYOR")


def _revert(api: Api) -> Call:
    return _publish(_with_override(api), 2, toVersion=1)


def _new_profile(api: Api) -> Call:
    town_id = make_town(api, rigs=())
    return Call(town_id=town_id, arguments={"input": profile_input(unique("shared"), 0)})


def _central_profile(api: Api) -> Call:
    name, town_id = followed_profile(api)
    return Call(town_id=town_id, arguments={"input": profile_input(name, 1, mayor=KILO)})


def _own_profile_followed(api: Api) -> Call:
    town_id = make_town(api, rigs=())
    return _input(town_id, **profile_input(own_profile(api, town_id), 1, mayor=KILO))


def _own_profile_unfollowed(api: Api) -> Call:
    return _input(make_town(api, rigs=()), **profile_input("custom", 0))


def _register_models(api: Api) -> Call:
    models = [{"modelId": unique("some/model")}, {"modelId": unique("some/model"), "displayName": "Some model"}]
    return Call(town_id=make_town(api, rigs=()), arguments={"models": models})


def _deprecate_model(api: Api) -> Call:
    model = unique("some/model")
    send(api, "registerModels", Call(town_id="", arguments={"models": [{"modelId": model}]}))
    arguments = {"input": {"modelId": model, "replacedBy": OPUS, "reason": REASON}}
    return Call(town_id=make_town(api, rigs=()), arguments=arguments)


def _detect(api: Api) -> Call:
    return _input(make_town(api, rigs=()), observed={"model": "some/unknown", "smallModel": HAIKU})


_STALE: Final[Json] = {"expectedVersion": 99}
_OTHER_REASON: Final[Json] = {"reason": "For another reason."}
_TOWN: Final = "town { id townId createdAt }"
_SET: Final = """currentVersion warnings { code key }
    overrideSet { id version cause createdAt contentHash createdBy { actorId } }
    changeDetection { mayorChanged mayorRestartRequired changedBeadCount }"""
_PROFILE: Final = "currentVersion townsUpdated mayorRestartsSignalled profileVersion { id version publishedAt }"
_ADOPTED: Final = ("PROFILE_VERSION_ADOPTED",)
_PUBLISHED: Final = ("OVERRIDE_SET_PUBLISHED",)
_VERSION_PUBLISHED: Final = ("PROFILE_VERSION_PUBLISHED",)


def _publishing(mutation: str, case: str, prepare: Callable[[Api], Call], action: str) -> Recipe:
    return Recipe(
        mutation=mutation,
        case=case,
        prepare=prepare,
        spoilt=_STALE,
        town=(action,),
        reply=_SET,
        altered=_OTHER_REASON,
    )


def _profile(case: str, prepare: Callable[[Api], Call], town: tuple[str, ...] = ()) -> Recipe:
    return Recipe(
        mutation="publishProfileVersion",
        case=case,
        prepare=prepare,
        spoilt={"smallModel": "some/unknown"},
        town=town,
        central=_VERSION_PUBLISHED,
        reply=_PROFILE,
        altered=_OTHER_REASON,
    )


RECIPES: Final = (
    Recipe(
        mutation="createTown",
        case="new",
        prepare=_create_town,
        spoilt={"profile": "nowhere"},
        town=("TOWN_CREATED",),
        reply=_TOWN,
        altered={"name": "Another name"},
    ),
    Recipe(
        mutation="importTown",
        case="with_known_models",
        prepare=_import_known,
        spoilt={"config": 5},
        town=("TOWN_IMPORTED",),
        reply=f"{_TOWN} notes",
        altered=_OTHER_REASON,
    ),
    Recipe(
        mutation="importTown",
        case="with_unknown_models",
        prepare=_import_unknown,
        spoilt={"rigs": [{"rigId": "not an id", "name": "A rig"}]},
        town=("TOWN_IMPORTED",),
        central=("MODELS_REGISTERED",),
        reply=f"{_TOWN} notes",
        altered=_OTHER_REASON,
    ),
    Recipe(
        mutation="registerRig",
        case="new",
        prepare=_register_rig,
        spoilt={"name": " "},
        town=("RIG_REGISTERED",),
    ),
    Recipe(
        mutation="registerRig",
        case="removed_before",
        prepare=_revive_rig,
        spoilt={"name": " "},
        town=("RIG_REGISTERED",),
    ),
    Recipe(
        mutation="removeRig",
        case="there",
        prepare=_remove_rig,
        spoilt={"rigId": "nowhere"},
        town=("RIG_REMOVED",),
    ),
    Recipe(
        mutation="syncBeads",
        case="new",
        prepare=_sync_beads,
        spoilt={"beads": [{"beadId": "fine"}, {"beadId": "not an id"}]},
        town=("BEADS_SYNCED",),
    ),
    _publishing("publishOverrideSet", "flag", _publish_override_set, "OVERRIDE_SET_PUBLISHED"),
    _publishing("selectProfile", "another", _select_profile, "PROFILE_SELECTED"),
    _publishing("setOverride", "new", _set_override, "OVERRIDE_SET_PUBLISHED"),
    _publishing("setOverride", "renewed", _renew_override, "OVERRIDE_SET_PUBLISHED"),
    _publishing("removeOverride", "there", _remove_override, "OVERRIDE_SET_PUBLISHED"),
    _publishing("revertOverrideSet", "earlier", _revert, "OVERRIDE_SET_REVERTED"),
    _profile("new", _new_profile),
    _profile("own_unfollowed", _own_profile_unfollowed),
    _profile("own_followed", _own_profile_followed, town=_ADOPTED),
    _profile("central_followed", _central_profile, town=_ADOPTED),
    Recipe(
        mutation="registerModels",
        case="new",
        prepare=_register_models,
        spoilt={"models": [{"modelId": "some/good"}, {"modelId": " "}]},
        central=("MODELS_REGISTERED",),
    ),
    Recipe(
        mutation="deprecateModel",
        case="there",
        prepare=_deprecate_model,
        spoilt={"modelId": "some/unknown"},
        central=("MODEL_DEPRECATED",),
    ),
    Recipe(
        mutation="detectMayorChange",
        case="first_report",
        prepare=_detect,
        spoilt={"observed": {"model": " ", "smallModel": HAIKU}},
        town=("MAYOR_OBSERVED",),
    ),
)
