"""Previews: what a draft would change, by the code that would publish it. Nothing is written."""

import strawberry

from api.schema.changes import ChangeDetection
from api.schema.connections import filter_name
from api.schema.context import Info
from api.schema.fields import field, field_for
from api.schema.policy_mutations import OverrideSetDraft
from api.schema.problems import UserError, user_errors
from api.schema.resolution import Resolution, TaskInput, known_task
from api.schema.rules import ConfigWarning, EffectiveRule, RuleChange, RuleInput, rule_change_list
from api.schema.town import warnings_of
from models.domain.errors import NotFound, Refused
from models.domain.permissions import READ
from models.domain.resolution import resolve
from models.services.changes import Move
from models.services.preview import Preview, preview_draft, preview_profile
from models.services.profiles import ProfileDraft as DomainProfileDraft
from models.store import mapping


@strawberry.input(description="townId null: a central profile.")
class ProfileDraft:
    name: str
    town_id: strawberry.ID | None = None
    small_model: str
    rules: list[RuleInput]

    def draft(self) -> DomainProfileDraft:
        return DomainProfileDraft(
            name=self.name,
            town_id=self.town_id,
            small_model=self.small_model,
            rules=tuple(rule.draft() for rule in self.rules),
        )


@strawberry.type(description="A draft laid over the town as it stands at `baseVersion`.")
class PreviewPayload:
    preview: strawberry.Private[Preview | None] = None
    user_errors: list[UserError] = strawberry.field(default_factory=list)

    @field
    def base_version(self) -> int | None:
        """The version in force, which publishing the draft would expect."""
        return None if self.preview is None else self.preview.before.override_set.version

    @field
    def change_detection(self) -> ChangeDetection | None:
        """Against the town and its active beads as they stand."""
        if self.preview is None:
            return None
        before, after = self.preview.before, self.preview.after
        town_id, version = before.override_set.town_id, before.override_set.version
        return ChangeDetection(
            move=Move(before=before.table, after=after.table, at=None),
            list_name=filter_name("preview", town_id, version, after.override_set.content_hash),
            restart_required=self.preview.mayor_restart_required,
        )

    @field
    def effective_rules(self) -> list[EffectiveRule]:
        if self.preview is None:
            return []
        return [EffectiveRule(effective=rule) for rule in self.preview.after.override_set.effective_rules()]

    @field
    async def warnings(self, info: Info) -> list[ConfigWarning]:
        return [] if self.preview is None else await warnings_of(info.context, self.preview.after)

    @field
    async def resolution(self, info: Info, bead_id: strawberry.ID) -> Resolution | None:
        """How a bead would resolve under the draft; null where the draft is refused."""
        if self.preview is None:
            return None
        row = await info.context.loaders.bead.load(bead_id)
        if row is None or row.town_id != self.preview.after.override_set.town_id:
            raise Refused(NotFound(kind="bead", name=bead_id, path=("beadId",)))
        return Resolution(resolved=resolve(self.preview.after.table, mapping.task_of(row)), bead=bead_id)

    @field
    async def task_resolution(self, info: Info, task: TaskInput) -> Resolution | None:
        """How a described piece of work would resolve under the draft; null where the draft is refused."""
        if self.preview is None:
            return None
        known = await known_task(info.context, self.preview.after.override_set.town_id, task)
        return Resolution(resolved=resolve(self.preview.after.table, known))


@strawberry.type(description="What publishing a profile draft would do.")
class ProfilePreviewPayload:
    base_version: int = strawberry.field(default=0, description="The latest version; 0 where there is none yet.")
    changes: list[RuleChange] = strawberry.field(default_factory=list)
    towns_following: int = 0
    mayors_moved: int = strawberry.field(default=0, description="Towns whose mayor would resolve to another pair.")
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class PreviewQuery:
    @field_for(READ)
    async def preview(self, info: Info, town_id: strawberry.ID, draft: OverrideSetDraft) -> PreviewPayload:
        """What publishing this draft would change. Writes nothing."""
        context = info.context
        try:
            found = await preview_draft(context.store, context.asker.grant, town_id, draft.draft())
        except Refused as refused:
            return PreviewPayload(user_errors=user_errors(refused))
        return PreviewPayload(preview=found)

    @field_for(READ)
    async def preview_profile_version(self, info: Info, draft: ProfileDraft) -> ProfilePreviewPayload:
        """What publishing this profile version would change, and for how many. Writes nothing."""
        try:
            found = await preview_profile(info.context.store, info.context.asker.grant, draft.draft())
        except Refused as refused:
            problems = Refused(problem.under("draft") for problem in refused.problems)
            return ProfilePreviewPayload(user_errors=user_errors(problems))
        return ProfilePreviewPayload(
            base_version=found.base_version,
            changes=rule_change_list(found.changes),
            towns_following=found.towns_following,
            mayors_moved=found.mayors_moved,
        )
