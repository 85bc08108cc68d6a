"""Writers of a town take turns, and the instants that they take are from their own turn; so the past stays put."""

from datetime import UTC, datetime

from models.domain.overrides import Choice, next_set
from models.domain.vocabulary import OverrideSetCause
from models.services.access import COMMAND_LINE, built_in
from models.services.heads import lock_town
from models.services.publishing import Installation, Successor, install
from models.store.heads import begin_chain
from models.store.unit import WriteUnit
from tests.client import Api, Json
from tests.contract.recipes import unique
from tests.towns import make_town, sync
from tests.waiting import REQUEST_ID, turns_taken, under_way

HEADERS = {"X-Request-Id": REQUEST_ID}
_CALLER = built_in(COMMAND_LINE, request_id="under-way")


async def flip_flag(unit: WriteUnit, town_id: str) -> datetime:
    """Publish that bead models are honoured, or no longer; gives the instant of it."""
    head = await lock_town(unit, _CALLER, town_id)
    current = await unit.store.tables.one(unit.session, town_id, head.version)
    then = current.override_set
    choice = Choice(profile=then.profile, honor_bead_models=not then.honor_bead_models, rules=then.rules)
    new = next_set(then, choice, at=head.instant, by=_CALLER.actor)
    why = Installation(cause=OverrideSetCause.PUBLISHED, reason="Under way.")
    await install(unit, _CALLER, [Successor(head=head, current=current, new=new)], why)
    return head.instant


def last_instant(api: Api, town_id: str) -> datetime:
    return datetime.fromisoformat(api.entries(town_id, "occurredAt")[0]["occurredAt"])


def test_write__that_waited_for_another__takes_an_instant_from_after_that(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())

    def register() -> Json:
        return shared_api.done("registerRig", "__typename", headers=HEADERS, townId=town_id, rigId="web", name="Web")

    with under_way(shared_api.url, lambda unit: flip_flag(unit, town_id)) as write:
        _, ended = write.delays(register)
    assert write.instant < ended < last_instant(shared_api, town_id)


def test_creation__that_waited_for_one_that_failed__takes_an_instant_from_after_that(shared_api: Api) -> None:
    town_id = unique("made")

    async def begin(unit: WriteUnit) -> datetime:
        return (await begin_chain(unit.session, town_id, clock=unit.store.clock)).instant

    def create() -> Json:
        return shared_api.done("createTown", "__typename", headers=HEADERS, townId=town_id, name="A town")

    with under_way(shared_api.url, begin, commits=False) as write:
        _, ended = write.delays(create)
    assert write.instant < ended < last_instant(shared_api, town_id)


AS_OF = """query ($id: ID!, $t: ID!, $at: DateTime!) {
    resolution(beadId: $id, asOf: {at: $at}) { overrideSetVersion }
    bead(beadId: $id) { resolution(asOf: {at: $at}) { overrideSetVersion } }
    taskResolution(townId: $t, task: {}, asOf: {at: $at}) { overrideSetVersion }
    town(townId: $t) { overrideSetAt(asOf: {at: $at}) { version } }
}"""


def test_as_of__an_instant_that_a_write_under_way_has_passed__waits_for_it_and_stays_answered(shared_api: Api) -> None:
    town_id, bead_id = make_town(shared_api, rigs=()), unique("bead")
    sync(shared_api, town_id, {"beadId": bead_id})
    with under_way(shared_api.url, lambda unit: flip_flag(unit, town_id)) as write:
        asked: Json = {"id": bead_id, "t": town_id, "at": datetime.now(UTC).isoformat()}
        answer, _ = write.delays(lambda: shared_api.data(AS_OF, headers=HEADERS, **asked))
    assert write.order == ["asks", "ends", "has"]
    assert answer == shared_api.data(AS_OF, **asked)
    assert answer["town"] == {"overrideSetAt": {"version": 2}}


def test_as_of__an_instant_before_the_last_write__waits_for_nobody(shared_api: Api) -> None:
    town_id, bead_id = make_town(shared_api, rigs=()), unique("bead")
    sync(shared_api, town_id, {"beadId": bead_id})
    asked: Json = {"id": bead_id, "t": town_id, "at": last_instant(shared_api, town_id).isoformat()}
    with under_way(shared_api.url, lambda unit: flip_flag(unit, town_id)), turns_taken() as order:
        answer = shared_api.data(AS_OF, headers=HEADERS, **asked)
    assert (answer["town"], order) == ({"overrideSetAt": {"version": 1}}, [])
    assert answer == shared_api.data(AS_OF, **asked)


def test_as_of__an_instant_of_many_towns__takes_one_turn_in_all(shared_api: Api) -> None:
    towns = [make_town(shared_api, rigs=()) for _ in range(5)]
    fields = "overrideSetAt(asOf: {at: $at}) { version }"
    query = " ".join(f't{number}: town(townId: "{town_id}") {{ {fields} }}' for number, town_id in enumerate(towns))
    with turns_taken() as order:
        found = shared_api.data(
            f"query ($at: DateTime!) {{ {query} }}", headers=HEADERS, at=datetime.now(UTC).isoformat()
        )
    assert [each["overrideSetAt"]["version"] for each in found.values()] == [1] * 5
    assert order == ["asks", "has"]
