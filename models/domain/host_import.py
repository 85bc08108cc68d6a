"""The host's own configuration, read into a profile of the town's own and overrides for its rigs.

The host resolves a model as: the rig's for the role, the town's for the role, the rig's default, the town's default,
the built-in one. In Townclerk's table these are ``role@rig``, ``role``, ``*@rig``, ``*`` and the last resort, whose
specificities (5, 4, 1, 0) give the same order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from models.domain.errors import InvalidInput, InvalidModel, Path, Problem, refuse_if_any
from models.domain.profiles import ProfileTable
from models.domain.rules import Rule, RuleKey, ordered
from models.domain.vocabulary import OWN_PROFILE_PREFIX, SYSTEM_SMALL_MODEL, Role, is_model_id

_TOWN_ROLES = (Role.MAYOR, Role.POLECAT, Role.REFINERY)
_RIG_ROLES = (Role.POLECAT, Role.REFINERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRig:
    rig_id: str
    config: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostImport:
    """What a host's configuration comes to. `notes` tell what was left out, a sentence each."""

    title: ClassVar[str] = "As imported"
    profile: ProfileTable
    overrides: tuple[Rule, ...]
    notes: tuple[str, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Every model named, sorted."""
        rules = (*self.profile.rules, *self.overrides)
        return tuple(sorted({self.profile.small_model, *(rule.model for rule in rules)}))


@dataclass(slots=True)
class _Reader:
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def table(self, value: object, path: Path) -> Mapping[str, object]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problems.append(InvalidInput(path=path, expected="a JSON object"))
            return {}
        return value

    def model(self, value: object, path: Path) -> str | None:
        """A model id; None where it is not set, which a blank string counts as."""
        if value is None:
            return None
        if not isinstance(value, str):
            self.problems.append(InvalidInput(path=path, expected="a string"))
            return None
        if not value.strip():
            return None
        if not is_model_id(value):
            self.problems.append(InvalidModel(model=value, path=path))
            return None
        return value

    def rules(self, config: Mapping[str, object], path: Path, roles: Sequence[Role], rig_id: str | None) -> list[Rule]:
        """The rules of a town (`rig_id` None) or of a rig: its default, and one for each of `roles` that is set."""
        role_models = self.table(config.get("role_models"), (*path, "role_models"))
        found: list[tuple[Role | None, str | None]] = [
            (None, self.model(config.get("default_model"), (*path, "default_model")))
        ]
        known = {role.value: role for role in roles}
        for name, value in role_models.items():
            if name in known:
                found.append((known[name], self.model(value, (*path, "role_models", name))))
            elif value is None or (isinstance(value, str) and not value.strip()):
                continue
            elif name == Role.MAYOR:
                self.notes.append(f"Left out the mayor's model of rig {rig_id}: the mayor works for the whole town.")
            else:
                where = "the town" if rig_id is None else f"rig {rig_id}"
                self.notes.append(f"Left out the model of the role {name[:80]!r} of {where}: there is no such role.")
        return [Rule(key=RuleKey(role=role, rig_id=rig_id), model=model) for role, model in found if model is not None]


def read_host_config(config: object, rigs: Sequence[HostRig]) -> HostImport:
    """The town's settings as version 1 of its own profile, the rigs' as overrides.

    `config` is the host's town configuration (``default_model``, ``small_model``, ``role_models``), each rig's holds
    ``default_model`` and ``role_models``; other keys are none of ours. Raises `Refused` with every problem where a
    configuration is no object or a model no model id. Rig ids are taken to be well formed and distinct.
    """
    reader = _Reader()
    if config is None:
        reader.problems.append(InvalidInput(path=("config",), expected="a JSON object"))
    town = reader.table(config, ("config",))
    small_model = reader.model(town.get("small_model"), ("config", "small_model")) or SYSTEM_SMALL_MODEL
    profile_rules = reader.rules(town, ("config",), _TOWN_ROLES, None)
    overrides: list[Rule] = []
    for index, rig in enumerate(rigs):
        path = ("rigs", str(index), "config")
        overrides.extend(reader.rules(reader.table(rig.config, path), path, _RIG_ROLES, rig.rig_id))
    refuse_if_any(reader.problems)
    return HostImport(
        profile=ProfileTable(name=OWN_PROFILE_PREFIX, version=1, small_model=small_model, rules=tuple(profile_rules)),
        overrides=ordered(overrides),
        notes=tuple(reader.notes),
    )
