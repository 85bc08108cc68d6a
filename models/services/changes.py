"""Change detection: what moves between two tables in a town, its mayor and its active beads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.changes import changed_signatures, total
from models.domain.resolution import Table
from models.store.queries import towns


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """From one table of a town to another, over its beads as they stand now (`at` None) or stood at an instant."""

    before: Table
    after: Table
    at: datetime | None

    @property
    def town_id(self) -> str:
        return self.before.town_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedBeads:
    """The task signatures that resolve differently, and how many active beads have them."""

    signatures: frozenset[str]
    count: int


async def changed_beads(session: AsyncSession, move: Move) -> ChangedBeads:
    """Which active beads a move changes, exactly, by distinct signature: no bead is loaded."""
    counts: Mapping[str, int] = await towns.active_signatures(session, move.town_id, move.at)
    signatures = changed_signatures(move.before, move.after, counts)
    return ChangedBeads(signatures=signatures, count=total(counts, signatures))
