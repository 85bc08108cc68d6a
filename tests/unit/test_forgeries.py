"""Each field of each entry of a history is changed in turn, by forgers who go further and further to hide it."""

from collections.abc import Iterator
from typing import Final

import pytest

from models.domain.audit import AuditAction
from models.domain.export_check import verify_export
from models.domain.verification import Fault, FaultCode, Head
from tests.following import verify_chain
from tests.forgery import entry_alterations, with_entry
from tests.histories import HISTORIES, LINKS, Link, exported, head_of, relinked

ENTRIES: Final = [(chain, index) for chain, links in LINKS.items() for index in range(len(links))]
AT_ITS_PLACE: Final = {
    FaultCode.UNREADABLE,
    FaultCode.TRANSPLANTED,
    FaultCode.GAP,
    FaultCode.BROKEN_LINK,
    FaultCode.HEAD_DIFFERS,
}

each_entry = pytest.mark.parametrize(("chain", "index"), ENTRIES)


def fault_of_export(chain: str, links: list[Link], expected: Head | None = None) -> Fault | None:
    [found] = verify_export(exported(chain, links), expected=expected)
    return found.verification.fault


def forged_from(chain: str, index: int) -> Iterator[tuple[str, list[Link]]]:
    """The chain with one thing changed at `index`, its place aside, and with every hash from there on made anew."""
    links = LINKS[chain]
    for path, altered in entry_alterations(links[index]):
        if path.rstrip("-") not in {"previousHash", "sequence"}:
            yield path, relinked(with_entry(links, index, altered, rehashed=False), index)


def test_histories__that_no_one_touched__hold() -> None:
    for chain, links in LINKS.items():
        found = verify_chain(chain, links, expected=head_of(links))
        assert (found.fault, found.entries, found.head) == (None, len(links), head_of(links))
        assert fault_of_export(chain, list(links), head_of(links)) is None


def test_histories__taken_together__have_every_action() -> None:
    assert {entry.change.action for entries in HISTORIES.values() for entry in entries} == set(AuditAction)


@each_entry
def test_entry__changed_beside_its_old_hash__is_found_at_its_place(chain: str, index: int) -> None:
    links = LINKS[chain]
    for path, altered in entry_alterations(links[index]):
        forged = with_entry(links, index, altered, rehashed=False)
        fault = verify_chain(chain, forged, expected=head_of(links)).fault
        assert fault is not None, path
        assert (fault.code in {FaultCode.CHANGED, FaultCode.UNREADABLE}, fault.sequence) == (True, index + 1), path
        assert fault_of_export(chain, forged) == fault, path


@each_entry
def test_entry__changed_with_its_hash__is_found_there_or_by_the_next(chain: str, index: int) -> None:
    """By the next one, where it is still an entry for this place; of the last one only the head knows."""
    links = LINKS[chain]
    for path, altered in entry_alterations(links[index]):
        forged = with_entry(links, index, altered, rehashed=True)
        fault = verify_chain(chain, forged, expected=head_of(links)).fault
        assert fault is not None, path
        at_its_place = fault.code in AT_ITS_PLACE and fault.sequence == index + 1
        by_the_next = (fault.code, fault.sequence) == (FaultCode.BROKEN_LINK, index + 2)
        as_another = (fault.code, fault.sequence) == (FaultCode.FORK, altered.get("sequence"))
        assert at_its_place or by_the_next or as_another, path


@each_entry
def test_entry__changed_with_all_hashes_that_follow__is_found_by_the_head(chain: str, index: int) -> None:
    links = LINKS[chain]
    for path, forged in forged_from(chain, index):
        fault = fault_of_export(chain, forged, head_of(links))
        assert fault is not None, path
        assert fault.sequence is not None, path
        assert index + 1 <= fault.sequence <= len(links), path


# Where every hash is made anew, the entries are still held against each other. What no other one tells of is found by a
# head alone: who, why and when of any entry (a time that keeps the order), and of some actions what follows here.
OF_ANY: Final = {"actor", "onBehalfOf", "credential", "requestId", "reason", "occurredAt"}
ONLY_BY_THE_HEAD: Final = {
    # names that nothing refers to
    (AuditAction.TOWN_CREATED, "after.name"),
    (AuditAction.TOWN_IMPORTED, "after.name"),
    (AuditAction.TOWN_IMPORTED, "after.notes"),
    (AuditAction.TOWN_IMPORTED, "after.profile.title"),
    # states that no later entry begins with
    (AuditAction.RIG_REGISTERED, "after.name"),
    (AuditAction.MAYOR_OBSERVED, "after.model"),
    (AuditAction.MAYOR_OBSERVED, "after.smallModel"),
    (AuditAction.PROFILE_VERSION_PUBLISHED, "after.title"),
    (AuditAction.MODELS_REGISTERED, "after.displayName"),
    # who it was: nothing else tells of names
    (AuditAction.ACTOR_FORGOTTEN, "targetId"),
    # what another chain tells of: the first version of a town's own profile
    (AuditAction.PROFILE_VERSION_PUBLISHED, "before.title"),
    # what is not kept, so that memory stays bounded: the beads' states, and the contents of earlier sets
    (AuditAction.BEADS_SYNCED, "before"),
    (AuditAction.BEADS_SYNCED, "after"),
    (AuditAction.OVERRIDE_SET_REVERTED, "after.revertOf"),
}


def test_entry__changed_with_all_hashes_and_no_head_known__is_found_unless_no_other_tells_of_it() -> None:
    unseen: dict[tuple[str, int], set[str]] = {
        entry: {path for path, forged in forged_from(*entry) if fault_of_export(entry[0], forged) is None}
        for entry in ENTRIES
    }
    assert all(paths >= OF_ANY for paths in unseen.values())
    assert {
        (action, _field(action, path))
        for (chain, index), paths in unseen.items()
        for action in [HISTORIES[chain][index].change.action]
        for path in paths - OF_ANY
    } == ONLY_BY_THE_HEAD


def _field(action: AuditAction, path: str) -> str:
    """Without the ids of beads and models, and without the places in lists."""
    names = path.rstrip("+-").split("[")[0].split(".")
    if action is AuditAction.BEADS_SYNCED:
        return names[0]
    return f"{names[0]}.{names[-1]}" if action is AuditAction.MODELS_REGISTERED else ".".join(names)
