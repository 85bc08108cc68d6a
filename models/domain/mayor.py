"""When the mayor must restart: what it should run on against what it was last seen to run on.

Once a pair has been observed, a signal is open exactly while desired differs from observed. Effective pairs are
compared, never settings: spelling out what was the default is no change.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from models.domain.errors import InvalidModel, Problem, refuse_if_any
from models.domain.overrides import OverrideSet
from models.domain.resolution import Table, Task, fingerprint, resolve
from models.domain.rules import RuleKey, rule_key
from models.domain.vocabulary import Role, is_model_id


class SignalCause(StrEnum):
    CONFIG_CHANGED = "config_changed"
    OBSERVED_DRIFT = "observed_drift"


class SignalClosure(StrEnum):
    OBSERVED = "observed"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class ModelPair:
    """A model and the small model beside it, in the exact bytes that a session starts with."""

    model: str
    small_model: str

    def __post_init__(self) -> None:
        problems: list[Problem] = [
            InvalidModel(model=value, path=(field,))
            for field, value in (("model", self.model), ("smallModel", self.small_model))
            if not is_model_id(value)
        ]
        refuse_if_any(problems)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.model, self.small_model)


_MAYOR = Task(role=Role.MAYOR)
_KEYS = frozenset({rule_key(Role.MAYOR, None, None), rule_key(None, None, None)})  # that a mayor can meet


def desired_pair(table: Table) -> ModelPair:
    """What the mayor should run on under `table`. It depends on no task."""
    resolution = resolve(table, _MAYOR)
    return ModelPair(model=resolution.model, small_model=resolution.small_model)


def may_move(before: OverrideSet, after: OverrideSet) -> bool:
    """Whether the desired pair may differ between two sets: it depends on their profiles and on two of their rules."""
    return before.profile != after.profile or _met(before) != _met(after)


def _met(override_set: OverrideSet) -> dict[RuleKey, str]:
    return {rule.key: rule.model for rule in override_set.rules if rule.key in _KEYS}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignal:
    before: ModelPair
    after: ModelPair
    cause: SignalCause


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalStep:
    """What to do with a town's restart signals: close the open one, then open the next."""

    close: SignalClosure | None = None
    open: NewSignal | None = None

    def leaves_open(self, *, was_open: bool) -> bool:
        """Whether a signal is open once this is done."""
        return self.open is not None or (was_open and self.close is None)


def step_on_change(*, before: ModelPair, after: ModelPair, observed: ModelPair | None, signal_open: bool) -> SignalStep:
    """What a publish calls for, when the desired pair was `before` and is `after` now."""
    if before == after:
        return SignalStep()
    if after == observed:
        return SignalStep(close=SignalClosure.CANCELLED if signal_open else None)
    return SignalStep(
        close=SignalClosure.SUPERSEDED if signal_open else None,
        open=NewSignal(before=observed or before, after=after, cause=SignalCause.CONFIG_CHANGED),
    )


def step_on_report(*, desired: ModelPair, observed: ModelPair, signal_open: bool) -> SignalStep:
    """What a report that the mayor runs on `observed` calls for."""
    if observed == desired:
        return SignalStep(close=SignalClosure.OBSERVED if signal_open else None)
    if signal_open:
        return SignalStep()
    return SignalStep(open=NewSignal(before=observed, after=desired, cause=SignalCause.OBSERVED_DRIFT))
