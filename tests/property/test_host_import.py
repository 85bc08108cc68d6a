"""An imported town resolves to what its host resolves, by the host's own order of looking."""

from typing import TypedDict

from hypothesis import given
from hypothesis import strategies as st

from models.domain.host_import import HostImport, HostRig, read_host_config
from models.domain.overrides import Choice, first_set
from models.domain.resolution import Task, compile_table, resolve
from models.domain.vocabulary import Role
from tests.corpus import AUTHOR, NOON
from tests.property.strategies import THOROUGH, models


class HostConfig(TypedDict):
    default_model: str | None
    small_model: str | None
    role_models: dict[str, str | None] | None


NOTHING: HostConfig = {"default_model": None, "small_model": None, "role_models": None}


def _config(default: str | None, small: str | None, role_models: dict[str, str | None] | None) -> HostConfig:
    return {"default_model": default, "small_model": small, "role_models": role_models}


choices = st.none() | st.sampled_from(["", "  "]) | models
role_choices = st.dictionaries(st.sampled_from(["mayor", "polecat", "refinery", "triage"]), choices)
configs = st.builds(_config, choices, choices, st.none() | role_choices)


def set_value(value: str | None) -> str | None:
    return value if value is not None and value.strip() else None


def for_role(config: HostConfig, role: Role) -> str | None:
    return set_value((config["role_models"] or {}).get(role))


def host_resolves(town: HostConfig, rig: HostConfig | None, role: Role) -> str:
    """The host's order: the rig's for the role, the town's for it, the rig's default, the town's, the built-in."""
    rig = NOTHING if rig is None or role is Role.MAYOR else rig
    found = (
        for_role(rig, role),
        for_role(town, role),
        set_value(rig["default_model"]),
        set_value(town["default_model"]),
    )
    return next((model for model in found if model is not None), "anthropic/claude-sonnet-4.6")


def town_resolves(made: HostImport, rig_id: str | None, role: Role) -> tuple[str, str]:
    choice = Choice(profile=made.profile, honor_bead_models=False, rules=made.overrides)
    table = compile_table(first_set("town", choice, at=NOON, by=AUTHOR))
    resolution = resolve(table, Task(role=role, rig_id=rig_id))
    return resolution.model, resolution.small_model


@THOROUGH
@given(configs, st.dictionaries(st.sampled_from(["web", "api"]), configs))
def test_import__any_configuration__resolves_as_the_host_does(town: HostConfig, rigs: dict[str, HostConfig]) -> None:
    made = read_host_config(town, [HostRig(rig_id=rig_id, config=config) for rig_id, config in rigs.items()])
    small_model = set_value(town["small_model"]) or "anthropic/claude-haiku-4.5"
    for rig_id in (None, *rigs):
        for role in Role:
            rig = None if rig_id is None else rigs[rig_id]
            assert town_resolves(made, rig_id, role) == (host_resolves(town, rig, role), small_model)
