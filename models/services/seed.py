"""What a new database begins with: the model catalogue and the shipped profiles, on the record like any change."""

from typing import Final

from models.domain.audit import CENTRAL_CHAIN, AuditAction, Change, TargetType
from models.domain.profiles import SHIPPED_MODELS, SHIPPED_PROFILES, ShippedProfile
from models.services.access import INSTALLER, built_in
from models.services.catalogue import ModelDraft, add_models
from models.services.heads import lock_central
from models.services.history import record
from models.services.profiles import insert_profile_version, profile_record
from models.store.heads import begin_chain, lock_head
from models.store.policies import ProfileRow
from models.store.unit import Store, WriteUnit

_CALLER: Final = built_in(INSTALLER, request_id="migrate")


async def seed(store: Store) -> None:
    """Fill the central chain of a database that has none; does nothing elsewhere."""

    async def work(unit: WriteUnit) -> None:
        if await lock_head(unit.session, CENTRAL_CHAIN, clock=store.clock) is not None:
            return
        head = await begin_chain(unit.session, CENTRAL_CHAIN, clock=store.clock)
        models = [ModelDraft(model_id=model_id, display_name=name) for model_id, name in SHIPPED_MODELS.items()]
        await add_models(unit, head, _CALLER, models)
        for shipped in SHIPPED_PROFILES:
            await _publish_first(unit, shipped)

    await store.write(work)


async def _publish_first(unit: WriteUnit, shipped: ShippedProfile) -> None:
    head = await lock_central(unit)  # locked already: this gives the entry an instant of its own
    table, reason = shipped.table, "Shipped with Townclerk."
    unit.session.add(ProfileRow(owner=CENTRAL_CHAIN, name=table.name, title=shipped.title, version=table.version))
    await unit.session.flush()
    await insert_profile_version(unit, head, _CALLER, owner=CENTRAL_CHAIN, table=table, reason=reason)
    change = Change(
        action=AuditAction.PROFILE_VERSION_PUBLISHED,
        target_type=TargetType.PROFILE,
        target_id=table.name,
        reason=reason,
        version_before=0,
        version_after=table.version,
        after=profile_record(CENTRAL_CHAIN, shipped.title, table),
    )
    await record(unit, head, _CALLER, change)
