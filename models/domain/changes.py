"""What differs between two configurations: rules, and the beads that would run on something else."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from models.domain.resolution import Resolution, Table, Task, resolve
from models.domain.rules import RuleKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """A key and its model before and after; None where there was or is no rule."""

    key: str
    before: str | None
    after: str | None


def rule_changes(before: Mapping[RuleKey, str], after: Mapping[RuleKey, str]) -> tuple[RuleChange, ...]:
    """The keys whose model differs, most specific first."""
    return tuple(
        RuleChange(key=key.spelling, before=before.get(key), after=after.get(key))
        for key in sorted(before.keys() | after.keys(), key=lambda key: key.sort_key)
        if before.get(key) != after.get(key)
    )


def differs(before: Resolution, after: Resolution) -> bool:
    """Whether a bead *changed*: its model, small model, or the key or source of the rule that decided."""
    return (
        before.model != after.model
        or before.small_model != after.small_model
        or before.matched.key != after.matched.key
        or before.matched.source is not after.matched.source
    )


def changed_signatures(before: Table, after: Table, signatures: Iterable[str]) -> frozenset[str]:
    """Those task signatures that the two tables resolve differently."""
    changed = set()
    for signature in signatures:
        task = Task.from_signature(signature)
        if differs(resolve(before, task), resolve(after, task)):
            changed.add(signature)
    return frozenset(changed)


def spread(table: Table, beads_by_signature: Mapping[str, int]) -> dict[str, int]:
    """How many beads run on each model, most used first, then by model id."""
    counts: dict[str, int] = {}
    for signature, beads in beads_by_signature.items():
        model = resolve(table, Task.from_signature(signature)).model
        counts[model] = counts.get(model, 0) + beads
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def total(beads_by_signature: Mapping[str, int], signatures: Collection[str]) -> int:
    return sum(beads_by_signature[signature] for signature in signatures)
