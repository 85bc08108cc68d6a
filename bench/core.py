"""The pure core against a general engine: a compiled table, and GrowthBook's Python engine given the same rules.

A process of its own: `python -m bench.core DATABASE_URL ROUNDS` prints its figures as JSON. GrowthBook is no dependency
of Townclerk; the benchmark installs it into a throw-away folder. By hand: `pip install --target FOLDER growthbook`, and
FOLDER into PYTHONPATH.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from sqlmodel import col, select

from models.domain.overrides import OverrideSet
from models.domain.resolution import Table, Task, compile_table, resolve
from models.domain.vocabulary import Role
from models.store.engine import open_database
from models.store.queries import towns
from models.store.tables import TableCache
from models.store.towns import BeadRow
from models.store.unit import Store

FEATURE: Final = "model"
REPEATED: Final = 20  # times that all tasks are decided in a round


def main() -> None:
    """Time both in turns; they have to decide alike."""
    url, rounds = sys.argv[1], int(sys.argv[2])
    override_set, tasks = asyncio.run(read_town(url))
    table = compile_table(override_set)
    engine = _Engine(table)
    attributes = [_attributes(task) for task in tasks]
    for task, given in zip(tasks, attributes, strict=True):
        ours = resolve(table, task)
        assert engine.decide(given) == (ours.model, ours.matched.key), task

    def decide() -> None:
        for task in tasks:
            found = resolve(table, task)
            assert found.model
            assert found.because

    def evaluate() -> None:
        for given in attributes:
            engine.decide(given)

    pairs = [(_seconds(decide), _seconds(evaluate)) for _ in range(rounds)]
    per_task = 1e6 / (REPEATED * len(tasks))
    figures = {
        "ours": per_task * statistics.median(ours for ours, _ in pairs),
        "theirs": per_task * statistics.median(theirs for _, theirs in pairs),
        "times": statistics.median(theirs / ours for ours, theirs in pairs),
        "rules": len(engine.rules),
        "tasks": len(tasks),
    }
    print(json.dumps(figures))


class _Engine:
    """GrowthBook with a table's rules, the most specific first: the first whose condition holds forces its model.

    The engine itself is asked, without what its client does around it: that is the quicker way.
    """

    def __init__(self, table: Table) -> None:
        common = import_module("growthbook.common_types")
        self._evaluate: Callable[..., Any] = import_module("growthbook.core").eval_feature
        self.rules = [
            {"id": it.key, "condition": _condition(it.rule_key.lookup), "force": it.model}
            for it in table.candidates
            if not it.replaced and it.rule_key is not None
        ]
        features = {FEATURE: common.Feature(defaultValue=None, rules=self.rules)}
        self._user = common.UserContext(attributes={})
        self._context = common.EvaluationContext(
            global_ctx=common.GlobalContext(options=common.Options(), features=features),
            user=self._user,
            stack=common.StackContext(evaluated_features=set()),
        )

    def decide(self, attributes: dict[str, Any]) -> tuple[Any, Any]:
        self._user.attributes = attributes
        self._context.stack.evaluated_features = set()  # each evaluation has its own
        result = self._evaluate(FEATURE, self._context)
        return result.value, result.ruleId


def _condition(lookup: tuple[Role | None, str | None, str | None]) -> dict[str, Any]:
    role, label, rig = lookup
    condition: dict[str, Any] = {}
    if role is not None:
        condition["role"] = str(role)
    if label is not None:
        condition["labels"] = {"$in": [label]}
    if rig is not None:
        condition["rig"] = rig
    return condition


def _attributes(task: Task) -> dict[str, Any]:
    return {"role": str(task.role), "labels": list(task.labels), "rig": task.rig_id}


def _seconds(work: Callable[[], None]) -> float:
    began = time.thread_time()
    for _ in range(REPEATED):
        work()
    return time.thread_time() - began


async def read_town(url: str) -> tuple[OverrideSet, list[Task]]:
    """A town's set in force, and the different tasks of its beads."""
    store = Store(database=open_database(url))
    try:
        async with store.read() as session:
            bead = (await session.exec(select(BeadRow).limit(1))).one()
            of_town = select(BeadRow.signature).where(col(BeadRow.town_id) == bead.town_id).distinct()
            signatures = (await session.exec(of_town)).all()
            version = (await towns.heads(session, [bead.town_id]))[bead.town_id].version
            compiled = await TableCache().one(session, bead.town_id, version)
            return compiled.override_set, [Task.from_signature(signature) for signature in signatures]
    finally:
        await store.dispose()


if __name__ == "__main__":
    main()
