"""What one would write without care: Strawberry's ASGI application as it comes, and a session for each request.

It decides with the same core over the same tables, for the same query, but asks no one for a token and writes no log.
`BENCH_DATABASE` is the database's URL, with its driver. The town's override set is loaded for each request; with
`BENCH_KEEPS_TABLES` compiled ones are kept, as Townclerk does.
"""

import os
from enum import Enum
from typing import Final

import strawberry
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from strawberry.asgi import GraphQL

from models.domain import resolution as core
from models.store.mapping import task_of
from models.store.tables import TableCache
from models.store.towns import BeadRow, HeadRow

_ENGINE: Final = create_async_engine(os.environ["BENCH_DATABASE"])
_KEPT: Final = TableCache() if os.environ.get("BENCH_KEEPS_TABLES") else None


@strawberry.enum
class RuleSource(Enum):
    BEAD = "bead"
    OVERRIDE = "override"
    PROFILE = "profile"
    SYSTEM_DEFAULT = "system_default"


@strawberry.type
class MatchedRule:
    source: RuleSource
    key: str
    title: str


@strawberry.type
class Resolution:
    model: str
    small_model: str
    because: str
    fingerprint: str
    override_set_version: int
    matched_rule: MatchedRule


@strawberry.type
class Query:
    @strawberry.field
    async def resolution(self, bead_id: strawberry.ID) -> Resolution | None:
        async with AsyncSession(_ENGINE) as session:
            bead = (await session.exec(select(BeadRow).where(col(BeadRow.bead_id) == bead_id))).first()
            if bead is None:
                return None
            head = (await session.exec(select(HeadRow).where(col(HeadRow.chain) == bead.town_id))).one()
            compiled = await (_KEPT or TableCache()).one(session, bead.town_id, head.version)
            found = core.resolve(compiled.table, task_of(bead))
            matched = found.matched
            return Resolution(
                model=found.model,
                small_model=found.small_model,
                because=found.because,
                fingerprint=found.fingerprint,
                override_set_version=head.version,
                matched_rule=MatchedRule(source=RuleSource(matched.source.value), key=matched.key, title=matched.title),
            )


app: Final = GraphQL[None, None](strawberry.Schema(query=Query))
