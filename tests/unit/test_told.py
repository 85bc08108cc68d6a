"""What the entries of a history tell of, and how things stand after them."""

from collections.abc import Sequence
from datetime import timedelta

from models.domain.audit import CENTRAL_CHAIN, Entry
from models.domain.mayor import ModelPair
from models.domain.replay import Replay
from models.domain.told import BeadTold, ObservationTold, ProfileTold, SetTold, Told
from models.domain.vocabulary import OverrideSetCause
from tests.histories import HISTORIES, IMPORTED, MORNING, TOWN
from tests.reference import FRONTIER, HAIKU, OPUS, SONNET
from tests.spelling import key, rules


def replayed(entries: Sequence[Entry]) -> tuple[Replay, list[Sequence[Told]]]:
    replay = Replay(entries[0].chain)
    return replay, [replay.apply(entry) for entry in entries]


def test_town__after_its_history__stands_as_its_entries_left_it() -> None:
    replay, _ = replayed(HISTORIES[TOWN])
    assert (replay.name, replay.created_at, replay.version, replay.observations) == ("Lindau", MORNING, 6, 2)
    [(rig_id, web)] = replay.rigs.items()
    assert (rig_id, web.name, web.removed_at) == ("web", "Netz", None)
    assert web.registered_at == MORNING + timedelta(minutes=1)


def test_rig__removed__stands_so() -> None:
    replay, _ = replayed(HISTORIES[IMPORTED])
    assert (replay.rigs["lab"].registered_at, replay.rigs["lab"].removed_at) == (
        MORNING,
        MORNING + timedelta(minutes=1),
    )


def test_sets__of_a_history__are_told_in_order() -> None:
    _, told = replayed(HISTORIES[TOWN])
    sets = [it for each in told for it in each if isinstance(it, SetTold)]
    assert [(it.version, it.cause, it.revert_of) for it in sets] == [
        (1, OverrideSetCause.TOWN_CREATED, None),
        (2, OverrideSetCause.PUBLISHED, None),
        (3, OverrideSetCause.PROFILE_UPDATED, None),
        (4, OverrideSetCause.PUBLISHED, None),
        (5, OverrideSetCause.PROFILE_SELECTED, None),
        (6, OverrideSetCause.REVERTED, 1),
    ]
    assert sets[3] == SetTold(
        version=4,
        profile="balanced",
        profile_version=2,
        honor_bead_models=True,
        rules=rules({"mayor": FRONTIER, "polecat[gt:rework]@web": OPUS}),
        renewed=frozenset({key("mayor")}),
        content_hash=sets[2].content_hash,
        cause=OverrideSetCause.PUBLISHED,
        revert_of=None,
    )


def test_observations__of_a_history__are_numbered() -> None:
    _, told = replayed(HISTORIES[TOWN])
    assert [it for each in told for it in each if isinstance(it, ObservationTold)] == [
        ObservationTold(sequence=1, pair=ModelPair(model=SONNET, small_model=HAIKU)),
        ObservationTold(sequence=2, pair=ModelPair(model=FRONTIER, small_model=HAIKU)),
    ]


def test_beads__of_a_sync__are_revised_where_more_than_the_title_changed() -> None:
    _, told = replayed(HISTORIES[TOWN])
    beads = [it for each in told for it in each if isinstance(it, BeadTold)]
    assert [(it.bead_id, it.record["title"], it.revised) for it in beads] == [
        ("b-1", "Größe", True),
        ("b-2", "Other", True),
        ("b-1", "Größe", True),
        ("b-2", "Another title", False),
    ]


def test_import__tells_of_its_profile_and_its_set() -> None:
    replay, [[own, first], _] = replayed(HISTORIES[IMPORTED])
    assert isinstance(own, ProfileTold)
    assert isinstance(first, SetTold)
    assert (own.owner, own.title, own.table.name, own.table.version) == (IMPORTED, "Custom", "custom", 1)
    assert (first.version, first.profile, first.rules) == (1, "custom", rules({"*@lab": HAIKU}))
    assert list(replay.profiles) == [(IMPORTED, "custom")]


def test_centre__after_its_history__stands_as_its_entries_left_it() -> None:
    replay, told = replayed(HISTORIES[CENTRAL_CHAIN])
    assert {owner: record["version"] for owner, record in replay.profiles.items()} == {
        (CENTRAL_CHAIN, "tidy"): 2,
        (IMPORTED, "custom"): 2,
    }
    assert [it.table.version for each in told for it in each if isinstance(it, ProfileTold)] == [1, 2, 2]
    assert {it: (state.record["displayName"], state.deprecated_at) for it, state in replay.models.items()} == {
        SONNET: ("Sonnet", None),
        OPUS: ("Opus 4.7", None),
    }


def test_model__deprecated_again_for_another__was_deprecated_the_first_time() -> None:
    replay, _ = replayed(HISTORIES[CENTRAL_CHAIN][:5])
    assert replay.models[OPUS].record["replacedBy"] == SONNET
    assert replay.models[OPUS].deprecated_at == MORNING + timedelta(minutes=2)
