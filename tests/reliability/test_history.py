"""What clients of two processes are told has to have one explanation; where there is a fault, it is found."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.databases import Databases
from tests.e2e.process import Server, serving_process
from tests.reliability import planted
from tests.reliability.checker import Conflicted, Published, Read, Wrong, check
from tests.reliability.load import TASKS, Load, prepare
from tests.reliability.stored import verified
from tests.reliability.wire import Hall
from tests.sizes import report, sized

CLIENTS: Final = 8
TOWNS: Final = 2
PUBLISHES: Final = sized("publishes", quick=24, ci=80, full=5_000)


def test_history__of_clients_of_two_processes__has_an_explanation(
    pair: tuple[Server, Server], database_url: str, backend: str
) -> None:
    load = Load(hall=Hall(*pair), towns=prepare(pair[0].api, TOWNS))
    with load.running(CLIENTS):
        load.until_begun(PUBLISHES)
    assert check(load.history, TASKS) == []
    made, lost, read = (
        sum(isinstance(event, kind) for event in load.history) for kind in (Published, Conflicted, Read)
    )
    assert min(made, lost, read) > 0
    entries = verified(database_url)
    counts = {"clients": CLIENTS, "acknowledged publishes": made, "VERSION_CONFLICT": lost, "reads checked": read}
    report("A history that has an explanation", backend, counts | {"findings": 0, "entries verified": entries})


@pytest.mark.parametrize(
    ("plant", "backend", "wrongs"),
    [
        (planted.any_base, "sqlite", {Wrong.WRONG_BASE}),
        (planted.any_base, "postgresql", {Wrong.WRONG_BASE}),
        # Two made one version: both heard of it, or neither, since what is there twice can't be read back.
        (planted.no_lock, "postgresql", {Wrong.MADE_TWICE, Wrong.UNHEARD_OF}),
        (planted.plain_begin, "sqlite", {Wrong.MALFUNCTION}),
        (planted.cache_by_town, "sqlite", {Wrong.STALE}),
        (planted.cache_by_town, "postgresql", {Wrong.STALE}),
    ],
    indirect=["backend"],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_history__of_processes_with_a_fault__has_none(
    plant: Callable[[], None], backend: str, wrongs: set[Wrong], databases: Databases
) -> None:
    url = databases.fresh(backend)
    if plant is planted.no_lock:
        planted.without_keys(url)
    with serving_process(url, plant=plant) as one, serving_process(url, plant=plant) as other:
        load = Load(hall=Hall(one, other), towns=prepare(one.api, 1))
        found: set[Wrong] = set()
        with load.running(CLIENTS):
            for _ in range(40):
                load.until_heard(10)
                found = {finding.wrong for finding in check(list(load.history), TASKS)} & wrongs
                if found:
                    break
    assert found
    report(f"Planted: {plant.__name__.replace('_', ' ')}", backend, {"fault, found": 1})
