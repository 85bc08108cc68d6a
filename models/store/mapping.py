"""Rows <-> domain values: the only place that knows both."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from models.domain.mayor import ModelPair
from models.domain.overrides import Override, OverrideSet
from models.domain.profiles import ProfileTable
from models.domain.resolution import Task
from models.domain.rules import rule_key, rule_of
from models.domain.vocabulary import Actor, BeadStatus, BeadType, OverrideSetCause, Role
from models.store.mayor import MayorObservationRow, MayorSignalRow
from models.store.policies import OverrideRow, OverrideSetRow, ProfileRuleRow, ProfileVersionRow
from models.store.straight import Values
from models.store.towns import BeadState


def profile_table(row: ProfileVersionRow, rules: Iterable[ProfileRuleRow]) -> ProfileTable:
    return ProfileTable(
        name=row.name,
        version=row.version,
        small_model=row.small_model,
        rules=tuple(rule_of(rule_key(_role(rule.role), rule.label, None), rule.model) for rule in rules),
    )


def profile_rule_rows(owner: str, table: ProfileTable) -> list[ProfileRuleRow]:
    return [
        ProfileRuleRow(
            owner=owner,
            name=table.name,
            version=table.version,
            key=rule.key.spelling,
            role=rule.key.role,
            label=rule.key.label,
            model=rule.model,
        )
        for rule in table.rules
    ]


def override(row: OverrideRow) -> Override:
    return Override(
        rule=rule_of(rule_key(_role(row.role), row.label, row.rig_id), row.model),
        profile_model_when_set=row.profile_model_when_set,
        set_at=row.set_at,
        set_by=Actor(actor_id=row.actor_id, on_behalf_of=row.on_behalf_of),
    )


def override_set(row: OverrideSetRow, overrides: Iterable[OverrideRow], profile: ProfileTable) -> OverrideSet:
    return OverrideSet(
        town_id=row.town_id,
        version=row.version,
        profile=profile,
        honor_bead_models=row.honor_bead_models,
        overrides=tuple(sorted(map(override, overrides), key=lambda each: each.rule.key.sort_key)),
    )


def override_set_row(
    new: OverrideSet,
    *,
    profile_owner: str,
    cause: OverrideSetCause,
    revert_of: int | None,
    reason: str | None,
    at: datetime,
    by: Actor,
) -> Values:
    """The values of an `OverrideSetRow`."""
    return {
        "town_id": new.town_id,
        "version": new.version,
        "profile_owner": profile_owner,
        "profile_name": new.profile.name,
        "profile_version": new.profile.version,
        "honor_bead_models": new.honor_bead_models,
        "content_hash": new.content_hash,
        "cause": cause,
        "revert_of": revert_of,
        "reason": reason,
        "created_at": at,
        "actor_id": by.actor_id,
        "on_behalf_of": by.on_behalf_of,
    }


def override_rows(new: OverrideSet) -> list[Values]:
    """The values of the `OverrideRow`s of a set."""
    return [
        {
            "town_id": new.town_id,
            "version": new.version,
            "key": each.rule.key.spelling,
            "role": each.rule.key.role,
            "label": each.rule.key.label,
            "rig_id": each.rule.key.rig_id,
            "model": each.rule.model,
            "profile_model_when_set": each.profile_model_when_set,
            "set_at": each.set_at,
            "actor_id": each.set_by.actor_id,
            "on_behalf_of": each.set_by.on_behalf_of,
        }
        for each in new.overrides
    ]


def bead_state(
    *,
    bead_type: BeadType,
    status: BeadStatus,
    labels: Sequence[str],
    role: Role | None,
    rig_id: str | None,
    model: str | None,
) -> BeadState:
    task = Task.of(role=role, bead_type=bead_type, labels=labels, rig_id=rig_id, model=model)
    return BeadState(
        type=bead_type,
        status=status,
        labels=array_text(labels),
        role=role,
        rig_id=rig_id,
        model=model,
        active=status.active,
        signature=task.signature,
    )


def array_text(texts: Sequence[str]) -> str:
    """A JSON array of strings, as columns hold it."""
    return json.dumps(list(texts), ensure_ascii=False, separators=(",", ":"))


def texts_of(array: str) -> list[str]:
    texts: list[str] = json.loads(array)
    return texts


def labels_of(state: BeadState) -> list[str]:
    return texts_of(state.labels)


def task_of(state: BeadState) -> Task:
    return Task.from_signature(state.signature)


def observed_pair(row: MayorObservationRow) -> ModelPair:
    return ModelPair(model=row.model, small_model=row.small_model)


def signal_pairs(row: MayorSignalRow) -> tuple[ModelPair, ModelPair]:
    """The pair before and the pair after."""
    return (
        ModelPair(model=row.before_model, small_model=row.before_small_model),
        ModelPair(model=row.after_model, small_model=row.after_small_model),
    )


def _role(value: str | None) -> Role | None:
    return None if value is None else Role(value)
