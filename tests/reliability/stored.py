"""What a database holds when all is over."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlmodel import col, select

from models.domain.audit import AuditAction
from models.domain.verification import Fault
from models.services.verification import verify_all
from models.store.audit import AuditEntryRow
from models.store.policies import OverrideSetRow
from models.store.unit import Store
from tests.chains import with_store
from tests.reliability.load import Acknowledged


def verified(url: str, chains: Collection[str] | None = None) -> int:
    """How many audit entries there are, in all chains or in those named; everything stored has to follow from them."""

    async def work(store: Store) -> int:
        entries = 0
        faults: dict[str, Fault] = {}
        async for found in verify_all(store):
            if chains is None or found.chain in chains:
                entries += found.entries
                if found.fault is not None:
                    faults[found.chain] = found.fault
        assert faults == {}
        return entries

    return with_store(url, work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """The override sets of some towns by town and version, and which requests their entries say made them."""

    hashes: dict[tuple[str, int], str]
    requests: dict[tuple[str, int], list[str]]

    def lost(self, acknowledged: Iterable[Acknowledged]) -> list[Acknowledged]:
        """What was acknowledged and is not there, or not as it was told, or with other than one entry."""
        return [
            made
            for made in acknowledged
            if self.hashes.get((made.town, made.version)) != made.content_hash or len(self._makers(made)) != 1
        ]

    def made_unheard(self, acknowledged: Iterable[Acknowledged]) -> int:
        """How many were made by an attempt that got no answer, so that a later one was told of it."""
        return sum(self._makers(made) != [made.attempts] for made in acknowledged)

    def _makers(self, made: Acknowledged) -> list[int]:
        """Which attempts the entries of a version tell of; the request is the same."""
        told = [request.rpartition(".") for request in self.requests.get((made.town, made.version), [])]
        return [int(attempt) for request, _, attempt in told if request == made.request_id]


def sets(url: str, towns: Collection[str]) -> Sets:
    async def work(store: Store) -> Sets:
        async with store.read() as session:
            rows = await session.exec(select(OverrideSetRow).where(col(OverrideSetRow.town_id).in_(towns)))
            hashes = {(row.town_id, row.version): row.content_hash for row in rows}
            published = col(AuditEntryRow.action) == AuditAction.OVERRIDE_SET_PUBLISHED
            requests: dict[tuple[str, int], list[str]] = {}
            entries = await session.exec(select(AuditEntryRow).where(col(AuditEntryRow.chain).in_(towns), published))
            for entry in entries:
                requests.setdefault((entry.chain, int(entry.target_id)), []).append(entry.request_id)
            return Sets(hashes=hashes, requests=requests)

    return with_store(url, work)
