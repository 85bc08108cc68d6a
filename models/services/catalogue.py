"""The model catalogue: registering models and deprecating them. Neither changes any resolution."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.domain import checks
from models.domain.audit import AuditAction, Change, TargetType
from models.domain.errors import (
    InvalidInput,
    InvalidModel,
    NoChange,
    Problem,
    Refused,
    TooMany,
    refuse_if_any,
)
from models.domain.permissions import ADMINISTER, require
from models.domain.rules import model_problems
from models.domain.vocabulary import MAX_MODELS, is_model_id
from models.services.heads import lock_central
from models.services.history import Caller, record
from models.store.heads import Head
from models.store.policies import ModelRow
from models.store.queries import policies
from models.store.unit import Store, WriteUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDraft:
    """A model to register; without a name of its own it is shown by its id."""

    model_id: str
    display_name: str | None = None


async def register_models(store: Store, caller: Caller, models: Sequence[ModelDraft]) -> None:
    """Add models to the catalogue, rename those there, and bring deprecated ones back.

    What the catalogue says already is left as it is. Raises `Refused` with every problem; `ForbiddenError`.
    """
    require(caller.grant, ADMINISTER)
    problems = _draft_problems(models)
    refuse_if_any(problems)

    async def work(unit: WriteUnit) -> None:
        head = await lock_central(unit)
        await add_models(unit, head, caller, models)

    await store.write(work)


def _draft_problems(models: Sequence[ModelDraft]) -> list[Problem]:
    if len(models) > MAX_MODELS:
        return [TooMany(kind="models", limit=MAX_MODELS, given=len(models), path=("models",))]
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, model in enumerate(models):
        here = ("models", str(index))
        if not is_model_id(model.model_id):
            problems.append(InvalidModel(model=model.model_id, path=(*here, "modelId")))
        if model.model_id in seen:
            problems.append(InvalidInput(path=(*here, "modelId"), expected="a model named once in the list"))
        seen.add(model.model_id)
        if model.display_name is not None:
            problems.extend(checks.name_problems(model.display_name, *here, "displayName"))
    return problems


async def add_models(unit: WriteUnit, head: Head, caller: Caller, models: Sequence[ModelDraft]) -> None:
    """Register checked models under the central chain's lock; one entry, none where nothing is new."""
    rows = await policies.models_by_id(unit.session, [model.model_id for model in models])
    before: dict[str, object] = {}
    after: dict[str, object] = {}
    for model in models:
        row = rows.get(model.model_id)
        was = None if row is None else model_record(row)
        if row is None:
            row = ModelRow(model_id=model.model_id, display_name=model.display_name or model.model_id)
            unit.session.add(row)
        else:
            row.display_name = model.display_name or row.display_name
            row.deprecated_at = row.replaced_by = None
        if was != model_record(row):
            before[model.model_id], after[model.model_id] = was, model_record(row)
    if not after:
        return
    await unit.session.flush()
    change = Change(
        action=AuditAction.MODELS_REGISTERED,
        target_type=TargetType.MODELS,
        target_id="catalogue",
        before=before,
        after=after,
    )
    await record(unit, head, caller, change)


async def deprecate_model(
    store: Store, caller: Caller, *, model_id: str, replaced_by: str | None, reason: str | None
) -> None:
    """Mark a model as one to move away from; towns that use it are warned, and nothing else changes.

    A successor that was named before is kept where none is named now.

    Raises `Refused`: `UNKNOWN_MODEL`, `NO_CHANGE` where it is deprecated in favour of the same model already;
    `ForbiddenError`.
    """
    require(caller.grant, ADMINISTER)
    problems = checks.reason_problems(reason, required=False)
    if replaced_by == model_id:
        problems.append(InvalidInput(path=("replacedBy",), expected="another model than the deprecated one"))
    refuse_if_any(problems)

    async def work(unit: WriteUnit) -> None:
        head = await lock_central(unit)
        named = [model_id] if replaced_by is None else [model_id, replaced_by]
        rows = await policies.models_by_id(unit.session, named)
        found = model_problems(model_id, models=rows.keys(), path=("modelId",))
        if replaced_by is not None:
            found += model_problems(replaced_by, models=rows.keys(), path=("replacedBy",))
        refuse_if_any(found)
        row = rows[model_id]
        successor = replaced_by or row.replaced_by
        if row.deprecated_at is not None and row.replaced_by == successor:
            raise Refused(NoChange(path=("modelId",), subject=f"The model {model_id}"))
        before = model_record(row)
        row.deprecated_at = row.deprecated_at or head.instant
        row.replaced_by = successor
        await unit.session.flush()
        change = Change(
            action=AuditAction.MODEL_DEPRECATED,
            target_type=TargetType.MODEL,
            target_id=model_id,
            reason=reason,
            before=before,
            after=model_record(row),
        )
        await record(unit, head, caller, change)

    await store.write(work)


def model_record(row: ModelRow) -> dict[str, object]:
    """A model as audit entries tell of it."""
    return {
        "displayName": row.display_name,
        "deprecated": row.deprecated_at is not None,
        "replacedBy": row.replaced_by,
    }
