"""What a process keeps of a set that it published is what another one reads."""

import asyncio
from dataclasses import asdict

from models.domain.rules import DraftRule
from models.domain.vocabulary import Role
from models.services.access import DEVELOPER, built_in
from models.services.decisions import Draft
from models.services.publishing import Publication, publish_override_set
from models.store.engine import open_database
from models.store.tables import CompiledSet
from models.store.unit import Store
from tests.bulk import RIGS, add_override_sets, add_towns
from tests.databases import Databases
from tests.towns import HAIKU, OPUS

TOWN = "kept"


def test_publish__of_rules_new_and_carried_over__keeps_what_is_read_back(backend: str, databases: Databases) -> None:
    url = databases.fresh(backend)
    add_towns(url, [TOWN])
    add_override_sets(url, TOWN, 2, overrides=7)

    async def published() -> tuple[CompiledSet | None, CompiledSet]:
        store, other = Store(database=open_database(url)), Store(database=open_database(url))
        try:
            rules = (
                DraftRule(role=Role.POLECAT, label=None, rig_id=RIGS[0], model=OPUS),
                DraftRule(role=Role.MAYOR, label=None, rig_id=None, model=HAIKU),
                DraftRule(role=Role.POLECAT, label="gt:convoy", rig_id=None, model=HAIKU),
            )
            wanted = Publication(town_id=TOWN, expected_version=2, reason="Why not?")
            caller = built_in(DEVELOPER, request_id="kept")
            outcome = await publish_override_set(store, caller, wanted, Draft(overrides=rules))
            read = await other.fetch(lambda session: other.tables.one(session, TOWN, outcome.version))
            return store.tables.known((TOWN, outcome.version)), read
        finally:
            await store.dispose()
            await other.dispose()

    kept, read = asyncio.run(published())
    assert kept is not None
    assert (kept.profile_owner, kept.override_set) == (read.profile_owner, read.override_set)
    assert asdict(kept.table) == asdict(read.table)
