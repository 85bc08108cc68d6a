"""Rules, overrides and warnings: the rows of a town's table."""

from datetime import datetime

import strawberry

from api.schema.actors import Actor
from api.schema.fields import field
from api.schema.scalars import Label, ModelId
from models.domain.changes import RuleChange as DomainRuleChange
from models.domain.overrides import EffectiveRule as DomainEffectiveRule
from models.domain.overrides import Override as DomainOverride
from models.domain.overrides import RuleSource
from models.domain.rules import DraftRule
from models.domain.rules import Rule as DomainRule
from models.domain.vocabulary import Role
from models.domain.warnings import ConfigWarning as DomainWarning
from models.domain.warnings import ConfigWarningCode

strawberry.enum(ConfigWarningCode)


@strawberry.type(
    description="A key (role, label, rig), like `polecat[gt:pr-fixup]@rig-1`, `polecat`, `*`, and its model."
)
class Rule:
    rule: strawberry.Private[DomainRule]

    @field
    def key(self) -> str:
        return self.rule.key.spelling

    @field
    def title(self) -> str:
        return self.rule.key.title

    @field
    def role(self) -> Role | None:
        return self.rule.key.role

    @field
    def label(self) -> Label | None:
        return None if self.rule.key.label is None else Label(self.rule.key.label)

    @field
    def rig_id(self) -> strawberry.ID | None:
        return None if self.rule.key.rig_id is None else strawberry.ID(self.rule.key.rig_id)

    @field
    def model(self) -> ModelId:
        return ModelId(self.rule.model)

    @field
    def specificity(self) -> int:
        """4 for a role, 2 for a label, 1 for a rig. The highest that matches decides."""
        return self.rule.key.specificity


@strawberry.type(description="A town's own rule.")
class Override(Rule):
    override: strawberry.Private[DomainOverride]
    model_now: strawberry.Private[str | None]

    @field
    def profile_model_when_set(self) -> ModelId | None:
        """What the profile said for this key when this override was first set."""
        model = self.override.profile_model_when_set
        return None if model is None else ModelId(model)

    @field
    def profile_model_now(self) -> ModelId | None:
        """What the profile says for this key in the version that the set lies over."""
        return None if self.model_now is None else ModelId(self.model_now)

    @field
    def stale(self) -> bool:
        """True once the profile has moved since the override was set."""
        return self.override.profile_model_when_set != self.model_now

    @field
    def set_at(self) -> datetime:
        return self.override.set_at

    @field
    def set_by(self) -> Actor:
        by = self.override.set_by
        return Actor(actor=by.actor_id, person=by.on_behalf_of)


@strawberry.type(description="A row of the table that beads are resolved from.")
class EffectiveRule:
    effective: strawberry.Private[DomainEffectiveRule]

    @field
    def rule(self) -> Rule:
        return Rule(rule=self.effective.rule)

    @field
    def source(self) -> RuleSource:
        return self.effective.source

    @field
    def replaces(self) -> Rule | None:
        """The profile's rule with the same key, where an override stands in its place."""
        return None if self.effective.replaces is None else Rule(rule=self.effective.replaces)


@strawberry.type(description="Something legal that the town's owner should know.")
class ConfigWarning:
    warning: strawberry.Private[DomainWarning]

    @field
    def code(self) -> ConfigWarningCode:
        return self.warning.code

    @field
    def key(self) -> str | None:
        """The rule's key; null where it is about the small model."""
        return self.warning.key

    @field
    def message(self) -> str:
        return self.warning.message


@strawberry.type(description="A key and its model before and after; null where there was or is no rule.")
class RuleChange:
    key: str
    before: ModelId | None
    after: ModelId | None


@strawberry.input
class RuleInput:
    role: Role | None = None
    label: str | None = None
    rig_id: strawberry.ID | None = None
    model: str

    def draft(self) -> DraftRule:
        return DraftRule(role=self.role, label=self.label, rig_id=self.rig_id, model=self.model)


def rule_change_list(changes: tuple[DomainRuleChange, ...]) -> list[RuleChange]:
    return [
        RuleChange(
            key=change.key,
            before=None if change.before is None else ModelId(change.before),
            after=None if change.after is None else ModelId(change.after),
        )
        for change in changes
    ]
