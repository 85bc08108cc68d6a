"""What a chain leaves standing once all its entries are told, held against what stands in the database."""

from collections.abc import Sequence
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.audit import CENTRAL_CHAIN, Entry
from models.domain.replay import Replay
from models.domain.verification import ChainBrokenError, FaultCode, Head
from models.services import expectation
from models.services.matching import differing_columns, match, unexplained
from models.store.policies import ProfileRow
from models.store.queries import policies, tokens, towns
from models.store.queries.record import Record

_COARSE: Final = frozenset({"last_used_at"})  # when a token was used last is no part of the record


async def compare_final_state(
    session: AsyncSession, record: Record, replay: Replay, head: Head, last: Entry | None
) -> None:
    """Head, town, rigs, models, tokens, profiles and beads, after the entry `last`. Raises `ChainBrokenError`."""
    chain = replay.chain
    if (name := await record.misspelt_row(chain)) is not None:
        raise ChainBrokenError(FaultCode.ROW_DIFFERS, None, f"{name} holds a row with a value spelt as none of ours is")
    await _compare_head(session, record, replay, head, last)
    if (orphan := await record.orphaned_rule(chain)) is not None:
        raise unexplained(orphan)
    if chain == CENTRAL_CHAIN:
        match(None, expectation.model_rows(replay), await policies.models(session))
        match(None, expectation.token_rows(replay), await tokens.tokens(session), aside=_COARSE)
        await _compare_central_profiles(session, replay)
        return
    stored = await towns.towns(session, [chain])
    match(None, expectation.town_rows(replay), list(stored.values()))
    rigs = (await towns.rigs_of(session, [chain])).get(chain, [])
    match(None, expectation.rig_rows(replay), rigs)
    await _compare_own_profiles(session, replay)
    if (bead_id := await record.misfit_bead(chain)) is not None:
        message = f"beads {bead_id} is not as its last revision says, or its revisions have a gap"
        raise ChainBrokenError(FaultCode.ROW_DIFFERS, None, message)


async def _compare_own_profiles(session: AsyncSession, replay: Replay) -> None:
    """The profile that came with the town; those that came later, and later versions, the central chain tells of."""
    own = await policies.profiles_of(session, [replay.chain])
    await _refuse_unversioned(session, own)
    moved_on = {row.name for row in own if row.version > 1}
    imported = [row for row in expectation.latest_profile_rows(replay) if row.name not in moved_on]
    names = {row.name for row in imported}
    match(None, imported, [row for row in own if row.name in names])


async def _compare_central_profiles(session: AsyncSession, replay: Replay) -> None:
    """All profiles but those that came with a town and are at that version still."""
    told = expectation.latest_profile_rows(replay)
    names = {(row.owner, row.name) for row in told}
    stored = await policies.all_profiles(session)
    ours = [row for row in stored if (row.owner, row.name) in names or row.owner == CENTRAL_CHAIN or row.version != 1]
    match(None, told, ours)
    await _refuse_unversioned(session, stored)


async def _refuse_unversioned(session: AsyncSession, profiles: Sequence[ProfileRow]) -> None:
    """Refuse a profile without the version that it says is its latest: an entry would have told of that version."""
    keys = [(row.owner, row.name, row.version) for row in profiles]
    versions = await policies.profile_versions(session, keys)
    for key, row in zip(keys, profiles, strict=True):
        if key not in versions:
            raise unexplained(row)


async def _compare_head(session: AsyncSession, record: Record, replay: Replay, head: Head, last: Entry | None) -> None:
    chain = replay.chain
    stored = (await towns.heads(session, [chain])).get(chain)
    if stored is None:
        if last is not None:
            raise ChainBrokenError(FaultCode.ROW_MISSING, None, f"heads {chain} is missing")
        return
    if stored.audit_sequence > head.sequence:
        message = f"the head says {stored.audit_sequence}, the chain ends at {head.sequence}"
        raise ChainBrokenError(FaultCode.TAIL_CUT, head.sequence + 1, message)
    if last is None:
        raise unexplained(stored)
    expected = {
        "version": replay.version,
        "instant": last.occurred_at,
        "audit_sequence": head.sequence,
        "audit_hash": head.hash,
        "observation_sequence": replay.observations,
        "signal_sequence": await record.last_signal(chain),
    }
    if differing := differing_columns(expected, stored):
        raise ChainBrokenError(FaultCode.ROW_DIFFERS, None, f"heads {chain} differs in {differing}")
