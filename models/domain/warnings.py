"""What a town's owner should know about a configuration that is legal all the same."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from models.domain.overrides import OverrideSet, never_matches


class ConfigWarningCode(StrEnum):
    STALE_OVERRIDE = "stale_override"
    SAME_AS_PROFILE = "same_as_profile"
    NEVER_MATCHES = "never_matches"
    RIG_REMOVED = "rig_removed"
    DEPRECATED_MODEL = "deprecated_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigWarning:
    """A remark on one key of the table, or on the small model where `key` is None."""

    code: ConfigWarningCode
    key: str | None
    message: str


def config_warnings(
    override_set: OverrideSet, *, rigs: Collection[str], deprecated: Collection[str]
) -> tuple[ConfigWarning, ...]:
    """All warnings, in the order of the effective table. `rigs` are those there now, `deprecated` are model ids."""
    effective = override_set.effective_rules()
    keys = [row.rule.key for row in effective]
    overrides = {override.rule.key: override for override in override_set.overrides}
    profile_now = override_set.profile.models_by_key
    stale = override_set.stale_keys()
    found: list[ConfigWarning] = []

    def warn(code: ConfigWarningCode, key: str | None, message: str) -> None:
        found.append(ConfigWarning(code=code, key=key, message=message))

    for row in effective:
        key, model = row.rule.key, row.rule.model
        spelling = key.spelling
        if key in stale:
            was, now = (value or "nothing" for value in (overrides[key].profile_model_when_set, profile_now.get(key)))
            warn(
                ConfigWarningCode.STALE_OVERRIDE,
                spelling,
                f"The profile said {was} for {spelling} when it was overridden and says {now} now.",
            )
        if key in overrides and profile_now.get(key) == model:
            warn(
                ConfigWarningCode.SAME_AS_PROFILE,
                spelling,
                f"The override {spelling} says what the profile says; it can be removed.",
            )
        if key in overrides and never_matches(key, keys):
            warn(
                ConfigWarningCode.NEVER_MATCHES,
                spelling,
                f"No task reaches {spelling}: polecat and refinery have rules of their own.",
            )
        if key.rig_id is not None and key.rig_id not in rigs:
            warn(ConfigWarningCode.RIG_REMOVED, spelling, f"The rig of {spelling} was removed.")
        if model in deprecated:
            warn(ConfigWarningCode.DEPRECATED_MODEL, spelling, f"{spelling} asks for {model}, which is deprecated.")
    small_model = override_set.profile.small_model
    if small_model in deprecated:
        warn(ConfigWarningCode.DEPRECATED_MODEL, None, f"The small model {small_model} is deprecated.")
    return tuple(found)
