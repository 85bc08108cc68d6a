"""Publishing: override sets, profile versions, the model catalogue."""

import strawberry

from api.schema.changes import ChangeDetection, detection_of
from api.schema.context import Context, Info
from api.schema.fields import field, mutation
from api.schema.override_set import OverrideSet, override_set_of
from api.schema.problems import UserError, answers, current_version, of_what_is_stored, user_errors
from api.schema.profile import Model, ProfileVersion, profile_version_of
from api.schema.resolution import compiled_set
from api.schema.rules import ConfigWarning, RuleInput
from api.schema.town import warnings_of
from models.domain.errors import Refused
from models.domain.permissions import ADMINISTER, EDIT, PUBLISH_PROFILE, require
from models.domain.rules import DraftKey
from models.domain.vocabulary import Role
from models.services import catalogue, publishing, rollout
from models.services.catalogue import ModelDraft
from models.services.decisions import Draft
from models.services.idempotency import Outcome
from models.services.profiles import ProfileDraft
from models.services.publishing import Publication
from models.services.rollout import ProfilePublication
from models.store.policies import ProfileVersionRow
from models.store.queries import policies


@strawberry.input(description="What is left out, or null, stays as it is in the current version.")
class OverrideSetDraft:
    profile: str | None = None
    honor_bead_models: bool | None = None
    overrides: list[RuleInput] | None = None

    def draft(self) -> Draft:
        overrides = None if self.overrides is None else tuple(rule.draft() for rule in self.overrides)
        return Draft(profile=self.profile, honor_bead_models=self.honor_bead_models, overrides=overrides)


@strawberry.input
class PublishInput:
    town_id: strawberry.ID
    expected_version: int
    reason: str
    idempotency_key: str | None = None

    def publication(self) -> Publication:
        return Publication(
            town_id=self.town_id,
            expected_version=self.expected_version,
            reason=self.reason,
            idempotency_key=self.idempotency_key,
        )


@strawberry.input
class PublishOverrideSetInput(PublishInput):
    draft: OverrideSetDraft


@strawberry.input
class SelectProfileInput(PublishInput):
    profile: str


@strawberry.input
class SetOverrideInput(PublishInput):
    override: RuleInput


@strawberry.input
class RemoveOverrideInput(PublishInput):
    role: Role | None = None
    label: str | None = None
    rig_id: strawberry.ID | None = None


@strawberry.input
class RevertOverrideSetInput(PublishInput):
    to_version: int


@strawberry.input(description="townId null: a central profile. expectedVersion 0 makes a new profile.")
class PublishProfileVersionInput:
    name: str
    town_id: strawberry.ID | None = None
    title: str | None = None
    expected_version: int
    small_model: str
    rules: list[RuleInput]
    reason: str
    idempotency_key: str | None = None

    def publication(self) -> ProfilePublication:
        return ProfilePublication(
            draft=ProfileDraft(
                name=self.name,
                town_id=self.town_id,
                small_model=self.small_model,
                rules=tuple(rule.draft() for rule in self.rules),
            ),
            title=self.title,
            expected_version=self.expected_version,
            reason=self.reason,
            idempotency_key=self.idempotency_key,
        )


@strawberry.input
class ModelInput:
    model_id: str
    display_name: str | None = None


@strawberry.input
class DeprecateModelInput:
    model_id: str
    replaced_by: str | None = None
    reason: str | None = None


@strawberry.type
class OverrideSetPayload:
    """Made of an outcome alone: a replay is answered as the first time was. What is not asked for is not read."""

    outcome: strawberry.Private[Outcome | None] = None
    refusal: strawberry.Private[Refused | None] = None

    @field
    @of_what_is_stored
    async def override_set(self, info: Info) -> OverrideSet | None:
        made = self.outcome
        return None if made is None else await override_set_of(info.context, made.subject, made.version)

    @field
    @of_what_is_stored
    async def change_detection(self, info: Info) -> ChangeDetection | None:
        made = self.outcome
        if made is None:
            return None
        override_set = await override_set_of(info.context, made.subject, made.version)
        return await detection_of(info.context, override_set.row)

    @field
    @of_what_is_stored
    async def warnings(self, info: Info) -> list[ConfigWarning]:
        made = self.outcome
        if made is None:
            return []
        return await warnings_of(info.context, await compiled_set(info.context, made.subject, made.version))

    @field
    def current_version(self) -> int | None:
        """The version in force: the one published, or the one that stood in the way."""
        if self.outcome is not None:
            return self.outcome.version
        return None if self.refusal is None else current_version(self.refusal)

    @field
    def user_errors(self) -> list[UserError]:
        return [] if self.refusal is None else user_errors(self.refusal)

    @classmethod
    def refused(cls, refused: Refused) -> "OverrideSetPayload":
        return cls(refusal=refused)


@strawberry.type
class ProfileVersionPayload:
    version_row: strawberry.Private[ProfileVersionRow | None] = None
    current_version: int | None = strawberry.field(
        default=None, description="The latest version: the one published, or the one that stood in the way."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list)

    @classmethod
    def refused(cls, refused: Refused) -> "ProfileVersionPayload":
        return cls(current_version=current_version(refused), user_errors=user_errors(refused))

    @field
    def profile_version(self) -> ProfileVersion | None:
        return None if self.version_row is None else ProfileVersion(row=self.version_row)

    @field
    @of_what_is_stored
    async def towns_following(self, info: Info) -> int:
        """Towns whose current override set follows the profile."""
        row = self.version_row
        if row is None:
            return 0
        return sum((await info.context.loaders.followers.load((row.owner, row.name)) or {}).values())

    @field
    @of_what_is_stored
    async def towns_updated(self, info: Info) -> int:
        """Towns that this version has been brought to so far; more may follow where the rollout was cut off."""
        return (await self._adoptions(info.context))[0]

    @field
    @of_what_is_stored
    async def mayor_restarts_signalled(self, info: Info) -> int:
        """Those of them whose mayors must restart because of it."""
        return (await self._adoptions(info.context))[1]

    async def _adoptions(self, context: Context) -> tuple[int, int]:
        row = self.version_row
        if row is None:
            return 0, 0
        return await context.store.search(
            lambda session: policies.adoption_counts(session, row.owner, row.name, row.version)
        )


@strawberry.type
class ModelsPayload:
    models: list[Model] = strawberry.field(default_factory=list)
    user_errors: list[UserError] = strawberry.field(default_factory=list)

    @classmethod
    def refused(cls, refused: Refused) -> "ModelsPayload":
        return cls(user_errors=user_errors(refused))


def _published(context: Context, outcome: Outcome) -> OverrideSetPayload:
    context.wrote()
    return OverrideSetPayload(outcome=outcome)


@strawberry.type
class PolicyMutation:
    @mutation(EDIT)
    @answers(OverrideSetPayload)
    async def publish_override_set(self, info: Info, input: PublishOverrideSetInput) -> OverrideSetPayload:  # noqa: A002  # Relay's word
        """Publish a draft laid over the current set, as the town's next version."""
        context = info.context
        outcome = await publishing.publish_override_set(
            context.store, await context.caller(), input.publication(), input.draft.draft()
        )
        return _published(context, outcome)

    @mutation(EDIT)
    @answers(OverrideSetPayload)
    async def select_profile(self, info: Info, input: SelectProfileInput) -> OverrideSetPayload:  # noqa: A002  # Relay's word
        """Follow another profile, at its latest version, with the same overrides."""
        context = info.context
        outcome = await publishing.select_profile(
            context.store, await context.caller(), input.publication(), input.profile
        )
        return _published(context, outcome)

    @mutation(EDIT)
    @answers(OverrideSetPayload)
    async def set_override(self, info: Info, input: SetOverrideInput) -> OverrideSetPayload:  # noqa: A002  # Relay's word
        """Set one override; one that is stale is renewed by setting it to what it says already."""
        context = info.context
        outcome = await publishing.set_override(
            context.store, await context.caller(), input.publication(), input.override.draft()
        )
        return _published(context, outcome)

    @mutation(EDIT)
    @answers(OverrideSetPayload)
    async def remove_override(self, info: Info, input: RemoveOverrideInput) -> OverrideSetPayload:  # noqa: A002  # Relay's word
        """Remove the override with this key, so that the profile decides again."""
        context = info.context
        key = DraftKey(role=input.role, label=input.label, rig_id=input.rig_id)
        outcome = await publishing.remove_override(context.store, await context.caller(), input.publication(), key)
        return _published(context, outcome)

    @mutation(EDIT)
    @answers(OverrideSetPayload)
    async def revert_override_set(self, info: Info, input: RevertOverrideSetInput) -> OverrideSetPayload:  # noqa: A002  # Relay's word
        """Publish what an earlier version said, over the latest version of its profile."""
        context = info.context
        outcome = await publishing.revert_override_set(
            context.store, await context.caller(), input.publication(), input.to_version
        )
        return _published(context, outcome)

    @mutation(PUBLISH_PROFILE)
    @answers(ProfileVersionPayload)
    async def publish_profile_version(self, info: Info, input: PublishProfileVersionInput) -> ProfileVersionPayload:  # noqa: A002  # Relay's word
        """Publish a profile's next version and bring it to every town that follows the profile."""
        context = info.context
        publication = input.publication()
        require(context.asker.grant, publication.need)  # before there is an actor for who asks
        caller = await context.caller()
        outcome = await rollout.publish_profile_version(context.store, caller, publication, stopping=context.is_late)
        context.wrote()
        made = await profile_version_of(context, publication.draft.owner, outcome.subject, outcome.version)
        return ProfileVersionPayload(version_row=made.row, current_version=outcome.version)

    @mutation(ADMINISTER)
    @answers(ModelsPayload)
    async def register_models(self, info: Info, models: list[ModelInput]) -> ModelsPayload:
        """Add models to the catalogue, rename those there, and bring deprecated ones back."""
        context = info.context
        drafts = [ModelDraft(model_id=model.model_id, display_name=model.display_name) for model in models]
        await catalogue.register_models(context.store, await context.caller(), drafts)
        context.wrote()
        return await _models_payload(context, [draft.model_id for draft in drafts])

    @mutation(ADMINISTER)
    @answers(ModelsPayload)
    async def deprecate_model(self, info: Info, input: DeprecateModelInput) -> ModelsPayload:  # noqa: A002  # Relay's word
        """Mark a model as one to move away from. No resolution changes; towns that use it are warned."""
        context = info.context
        await catalogue.deprecate_model(
            context.store,
            await context.caller(),
            model_id=input.model_id,
            replaced_by=input.replaced_by,
            reason=input.reason,
        )
        context.wrote()
        return await _models_payload(context, [input.model_id])


async def _models_payload(context: Context, model_ids: list[str]) -> ModelsPayload:
    rows = await context.store.fetch(lambda session: policies.models_by_id(session, model_ids))
    return ModelsPayload(models=[Model(row=rows[model_id]) for model_id in model_ids])
