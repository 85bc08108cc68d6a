"""Towns, their rigs and their beads: making, importing, registering, syncing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from models.domain import checks
from models.domain.audit import CENTRAL_CHAIN, AuditAction, Change, TargetType
from models.domain.errors import (
    AlreadyExists,
    InvalidInput,
    Problem,
    Refused,
    TooMany,
    UnknownProfile,
    UnknownRig,
    refuse_if_any,
)
from models.domain.host_import import HostImport, HostRig, read_host_config
from models.domain.overrides import Choice, first_set
from models.domain.permissions import ADMINISTER, require
from models.domain.profiles import is_own
from models.domain.vocabulary import MAX_OVERRIDES, OverrideSetCause, is_id
from models.services.catalogue import ModelDraft, add_models
from models.services.heads import lock_central, lock_town
from models.services.history import Caller, record
from models.services.idempotency import Attempt, Outcome, once
from models.services.profiles import insert_profile_version, latest_profile, profile_record
from models.services.publishing import Installation, insert_sets, set_record
from models.store.heads import Head, begin_chain
from models.store.policies import ProfileRow
from models.store.queries import policies, towns
from models.store.towns import RigRow, TownRow
from models.store.unit import Store, WriteUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTown:
    town_id: str
    name: str
    idempotency_key: str | None = None

    def problems(self) -> list[Problem]:
        return [
            *checks.id_problems(self.town_id, "townId"),
            *checks.name_problems(self.name, "name"),
            *checks.key_problems(self.idempotency_key),
        ]

    def attempt(self, operation: str, body: Mapping[str, object]) -> Attempt:
        """The request that asks for it. There is no town yet that someone might not be allowed to change."""
        return Attempt(operation=operation, town_id=None, key=self.idempotency_key, body=lambda: body)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRig:
    rig_id: str
    name: str
    config: object = None


async def create_town(store: Store, caller: Caller, new: NewTown, *, profile: str) -> Outcome:
    """Make a town that follows a central profile.

    Raises `Refused`: `ALREADY_EXISTS`, `UNKNOWN_PROFILE`; `ForbiddenError`.
    """
    require(caller.grant, ADMINISTER)
    refuse_if_any(new.problems())
    body = {"new": asdict(new), "profile": profile}

    async def work(unit: WriteUnit) -> Outcome:
        async def act() -> Outcome:
            head = await _insert_town(unit, new)
            table = (
                None if is_own(profile) else await latest_profile(unit.session, CENTRAL_CHAIN, profile, locking=True)
            )
            if table is None:
                raise Refused(UnknownProfile(name=profile, path=("profile",)))
            choice = Choice(profile=table, honor_bead_models=False, rules=())
            first = first_set(new.town_id, choice, at=head.instant, by=caller.actor)
            why = Installation(cause=OverrideSetCause.TOWN_CREATED, reason=None)
            await insert_sets(unit, caller, [(head, first)], why)
            change = Change(
                action=AuditAction.TOWN_CREATED,
                target_type=TargetType.TOWN,
                target_id=new.town_id,
                version_after=first.version,
                after={"name": new.name, "overrideSet": set_record(first)},
            )
            await record(unit, head, caller, change)
            return Outcome(subject=new.town_id, version=first.version)

        return await once(unit, caller, new.attempt("createTown", body), act)

    return await store.write(work)


async def import_town(
    store: Store, caller: Caller, new: NewTown, *, config: object, rigs: Sequence[NewRig], reason: str | None
) -> Outcome:
    """Make a town out of a host's own configuration, so that every role in every rig resolves as it does there.

    The outcome's notes tell what was left out. Raises `Refused` with every problem of the configuration;
    `ForbiddenError`.
    """
    require(caller.grant, ADMINISTER)
    problems = [*new.problems(), *checks.reason_problems(reason, required=False), *_rig_problems(rigs)]
    imported: HostImport | None = None
    try:
        imported = read_host_config(config, [HostRig(rig_id=rig.rig_id, config=rig.config) for rig in rigs])
    except Refused as refused:
        problems.extend(refused.problems)
    if imported is not None and len(imported.overrides) > MAX_OVERRIDES:
        given = len(imported.overrides)
        problems.append(TooMany(kind="overrides", limit=MAX_OVERRIDES, given=given, path=("rigs",)))
    if problems or imported is None:
        raise Refused(problems)
    host = imported
    body = {
        "new": asdict(new),
        "config": config,
        "rigs": [[rig.rig_id, rig.name, rig.config] for rig in rigs],
        "reason": reason,
    }

    async def work(unit: WriteUnit) -> Outcome:
        async def act() -> Outcome:
            head = await _insert_town(unit, new)
            await _register_missing_models(unit, caller, host)
            unit.session.add_all(
                RigRow(town_id=new.town_id, rig_id=rig.rig_id, name=rig.name, registered_at=head.instant)
                for rig in rigs
            )
            await _insert_own_profile(unit, head, caller, host, reason)
            choice = Choice(profile=host.profile, honor_bead_models=False, rules=host.overrides)
            first = first_set(new.town_id, choice, at=head.instant, by=caller.actor)
            why = Installation(cause=OverrideSetCause.TOWN_CREATED, reason=reason)
            await insert_sets(unit, caller, [(head, first)], why)
            change = Change(
                action=AuditAction.TOWN_IMPORTED,
                target_type=TargetType.TOWN,
                target_id=new.town_id,
                reason=reason,
                version_after=first.version,
                after={
                    "name": new.name,
                    "rigs": {rig.rig_id: rig.name for rig in rigs},
                    "profile": profile_record(new.town_id, host.title, host.profile),
                    "overrideSet": set_record(first),
                    "notes": list(host.notes),
                },
            )
            await record(unit, head, caller, change)
            return Outcome(subject=new.town_id, version=first.version, notes=host.notes)

        return await once(unit, caller, new.attempt("importTown", body), act)

    return await store.write(work)


async def register_rig(store: Store, caller: Caller, town_id: str, new: NewRig) -> None:
    """Add a rig to a town, or bring a removed one back. Raises `Refused`: `NOT_FOUND`, `ALREADY_EXISTS`."""
    refuse_if_any([*checks.id_problems(new.rig_id, "rigId"), *checks.name_problems(new.name, "name")])

    async def work(unit: WriteUnit) -> None:
        head = await lock_town(unit, caller, town_id)
        rig = (await towns.rigs(unit.session, [(town_id, new.rig_id)])).get((town_id, new.rig_id))
        before = None if rig is None else {"name": rig.name, "removed": True}
        if rig is None:
            unit.session.add(RigRow(town_id=town_id, rig_id=new.rig_id, name=new.name, registered_at=head.instant))
        elif rig.removed_at is None:
            raise Refused(AlreadyExists(kind="rig", name=new.rig_id, path=("rigId",)))
        else:
            rig.name, rig.removed_at = new.name, None
        await unit.session.flush()
        change = Change(
            action=AuditAction.RIG_REGISTERED,
            target_type=TargetType.RIG,
            target_id=new.rig_id,
            before=before,
            after={"name": new.name, "removed": False},
        )
        await record(unit, head, caller, change)

    await store.write(work)


async def remove_rig(store: Store, caller: Caller, town_id: str, rig_id: str) -> None:
    """Take a rig out of a town. Its overrides stay, with a warning. Raises `Refused`: `NOT_FOUND`, `UNKNOWN_RIG`."""

    async def work(unit: WriteUnit) -> None:
        head = await lock_town(unit, caller, town_id)
        there = await towns.rigs(unit.session, [(town_id, rig_id)]) if is_id(rig_id) else {}
        rig = there.get((town_id, rig_id))
        if rig is None or rig.removed_at is not None:
            raise Refused(UnknownRig(rig_id=rig_id))
        rig.removed_at = head.instant
        await unit.session.flush()
        change = Change(
            action=AuditAction.RIG_REMOVED,
            target_type=TargetType.RIG,
            target_id=rig_id,
            before={"name": rig.name, "removed": False},
            after={"name": rig.name, "removed": True},
        )
        await record(unit, head, caller, change)

    await store.write(work)


async def _insert_town(unit: WriteUnit, new: NewTown) -> Head:
    if await towns.towns(unit.session, [new.town_id]):
        raise Refused(AlreadyExists(kind="town", name=new.town_id, path=("townId",)))
    head = await begin_chain(unit.session, new.town_id, clock=unit.store.clock)
    unit.session.add(
        TownRow(town_id=new.town_id, name=new.name, search_name=new.name.casefold(), created_at=head.instant)
    )
    await unit.session.flush()
    return head


def _rig_problems(rigs: Sequence[NewRig]) -> list[Problem]:
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, rig in enumerate(rigs):
        here = ("rigs", str(index))
        problems.extend(checks.id_problems(rig.rig_id, *here, "rigId"))
        problems.extend(checks.name_problems(rig.name, *here, "name"))
        if rig.rig_id in seen:
            problems.append(InvalidInput(path=(*here, "rigId"), expected="a rig named once in the list"))
        seen.add(rig.rig_id)
    return problems


async def _register_missing_models(unit: WriteUnit, caller: Caller, host: HostImport) -> None:
    central = await lock_central(unit)
    known = await policies.models_by_id(unit.session, host.models)
    missing = [ModelDraft(model_id=model_id) for model_id in host.models if model_id not in known]
    await add_models(unit, central, caller, missing)


async def _insert_own_profile(
    unit: WriteUnit, head: Head, caller: Caller, host: HostImport, reason: str | None
) -> None:
    unit.session.add(ProfileRow(owner=head.chain, name=host.profile.name, title=host.title, version=1))
    await unit.session.flush()
    await insert_profile_version(unit, head, caller, owner=head.chain, table=host.profile, reason=reason)
