"""Keys and rules from their spelling, ``polecat[gt:pr-fixup]@web``: a test can show a table as it is written."""

import re
from collections.abc import Mapping
from typing import Final

from models.domain.rules import Rule, RuleKey
from tests.corpus import key_of, rules_of
from tests.reference import RuleJson

_SPELLING: Final = re.compile(r"(?P<role>\*|[a-z]+)(\[(?P<label>[^\]]+)\])?(@(?P<rig>.+))?")


def rules_json(models: Mapping[str, str]) -> list[RuleJson]:
    """Rules in the corpus' format."""
    return [_rule_json(spelling, model) for spelling, model in models.items()]


def rules(models: Mapping[str, str]) -> tuple[Rule, ...]:
    return rules_of(rules_json(models))


def rule(spelling: str, model: str) -> Rule:
    return rules({spelling: model})[0]


def key(spelling: str) -> RuleKey:
    return key_of(_rule_json(spelling, "any"))


def _rule_json(spelling: str, model: str) -> RuleJson:
    found = _SPELLING.fullmatch(spelling)
    if found is None:
        raise ValueError(spelling)
    role = None if found["role"] == "*" else found["role"].upper()
    return {"role": role, "label": found["label"], "rigId": found["rig"], "model": model}
