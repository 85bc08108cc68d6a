"""Why a piece of work runs on a model."""

from datetime import datetime
from functools import cached_property

import strawberry

from api.schema.context import Context
from api.schema.fields import field
from api.schema.problems import UserError
from api.schema.scalars import Label, ModelId
from models.domain import checks
from models.domain.errors import InvalidInput, NotFound, Refused, TooMany, UnknownRig, refuse_if_any
from models.domain.overrides import RuleSource
from models.domain.resolution import NO_TASK, Candidate, Considered, RuleOutcome, Task, resolve
from models.domain.resolution import Resolution as DomainResolution
from models.domain.vocabulary import MAX_BEAD_LABELS, MAX_BEADS, BeadStatus, BeadType, Role
from models.store import mapping
from models.store.queries import towns
from models.store.tables import CompiledSet
from models.store.towns import BeadRow
from models.store.unit import Session

strawberry.enum(Role, description="Who does the work. Triage is a polecat bead labelled gt:triage, not a role.")
strawberry.enum(BeadType)
strawberry.enum(BeadStatus)
strawberry.enum(RuleSource, description="Where the rule that decided came from.")
strawberry.enum(RuleOutcome, description="What became of a rule that was looked at.")


@strawberry.input(
    one_of=True,
    description="Exactly one of: an instant, or an override set version: the instant at which it came into force.",
)
class AsOf:
    version: strawberry.Maybe[int]
    at: strawberry.Maybe[datetime]


@strawberry.input(description="A piece of work that no bead has been registered for.")
class TaskInput:
    role: Role | None = None
    type: BeadType | None = None
    labels: list[str] = strawberry.field(default_factory=list)
    rig_id: strawberry.ID | None = None
    model: str | None = None

    @cached_property
    def task(self) -> Task:
        """The task as resolution sees it. Raises `Refused` for what no bead could carry; the rig is not looked up."""
        problems = [
            problem
            for index, label in enumerate(self.labels[:MAX_BEAD_LABELS])
            for problem in checks.label_problems(label, "task", "labels", str(index))
        ]
        if len(self.labels) > MAX_BEAD_LABELS:
            path = ("task", "labels")
            problems.append(TooMany(kind="labels", limit=MAX_BEAD_LABELS, given=len(self.labels), path=path))
        refuse_if_any(problems)
        try:
            return Task.of(
                role=self.role, bead_type=self.type, labels=self.labels, rig_id=self.rig_id, model=self.model
            )
        except Refused as refused:
            raise Refused(problem.under("task") for problem in refused.problems) from refused


@strawberry.type(
    description="The rule that decided. Its key is `bead` for a bead's own model, `system` for the last resort."
)
class MatchedRule:
    candidate: strawberry.Private[Candidate]

    @field
    def source(self) -> RuleSource:
        return self.candidate.source

    @field
    def key(self) -> str:
        return self.candidate.key

    @field
    def title(self) -> str:
        return self.candidate.title

    @field
    def role(self) -> Role | None:
        return None if self.candidate.rule_key is None else self.candidate.rule_key.role

    @field
    def label(self) -> Label | None:
        key = self.candidate.rule_key
        return None if key is None or key.label is None else Label(key.label)

    @field
    def rig_id(self) -> strawberry.ID | None:
        key = self.candidate.rule_key
        return None if key is None or key.rig_id is None else strawberry.ID(key.rig_id)

    @field
    def model(self) -> ModelId:
        return ModelId(self.candidate.model)

    @field
    def specificity(self) -> int:
        """4 for a role, 2 for a label, 1 for a rig; 8 for the bead's own model, -1 for the last resort."""
        return self.candidate.specificity


@strawberry.type(description="A rule that was looked at, and what became of it.")
class ConsideredRule:
    considered: strawberry.Private[Considered]

    @field
    def source(self) -> RuleSource:
        return self.considered.candidate.source

    @field
    def key(self) -> str:
        return self.considered.candidate.key

    @field
    def title(self) -> str:
        return self.considered.candidate.title

    @field
    def model(self) -> ModelId:
        return ModelId(self.considered.candidate.model)

    @field
    def outcome(self) -> RuleOutcome:
        return self.considered.outcome


@strawberry.type(description="The answer for a bead or a task: the model, the rule that matched, and why.")
class Resolution:
    resolved: strawberry.Private[DomainResolution]
    bead: strawberry.Private[str | None] = None

    @field
    def town_id(self) -> strawberry.ID:
        return strawberry.ID(self.resolved.table.town_id)

    @field
    def bead_id(self) -> strawberry.ID | None:
        return None if self.bead is None else strawberry.ID(self.bead)

    @field
    def role(self) -> Role | None:
        """Null only for the dispatch-agnostic default."""
        return self.resolved.task.role

    @field
    def model(self) -> ModelId:
        return ModelId(self.resolved.model)

    @field
    def small_model(self) -> ModelId:
        return ModelId(self.resolved.small_model)

    @field
    def matched_rule(self) -> MatchedRule:
        return MatchedRule(candidate=self.resolved.matched)

    @field
    def because(self) -> str:
        """One line for people: override “Polecat — label: gt:pr-fixup”."""
        return self.resolved.because

    @field
    def considered(self) -> list[ConsideredRule]:
        """Every rule that was looked at, most specific first, and what became of it."""
        return [ConsideredRule(considered=considered) for considered in self.resolved.considered]

    @field
    def override_set_version(self) -> int:
        return self.resolved.table.version

    @field
    def profile_name(self) -> str:
        return self.resolved.table.profile_name

    @field
    def profile_version(self) -> int:
        return self.resolved.table.profile_version

    @field
    def fingerprint(self) -> str:
        """SHA-256 over model and small model: equal fingerprints start byte-identical sessions."""
        return self.resolved.fingerprint


@strawberry.type(description="One answer of a batch: a resolution or the reason there is none.")
class BeadResolution:
    bead_id: strawberry.ID
    resolution: Resolution | None = None
    error: UserError | None = None


def _answered(context: Context, resolved: DomainResolution, bead: str | None = None) -> Resolution:
    context.operation.resolutions[resolved.matched.source.name] += 1
    return Resolution(resolved=resolved, bead=bead)


async def resolve_bead(context: Context, bead_id: str) -> Resolution:
    """The bead as it stands under the set in force, both read by one statement. Raises `Refused` with `NOT_FOUND`."""
    standing = await context.loaders.standing.load(bead_id)
    if standing is None:
        raise Refused(NotFound(kind="bead", name=bead_id, path=("beadId",)))
    row, version = standing
    compiled = await compiled_set(context, row.town_id, version)
    return _answered(context, resolve(compiled.table, mapping.task_of(row)), bead_id)


async def resolve_bead_as_of(context: Context, bead_id: str, as_of: AsOf) -> Resolution:
    """The bead as it stood, under the set that was in force. Raises `Refused`: `NOT_FOUND`, `INVALID_INPUT`."""
    town_id = await _home(context, bead_id)
    version, at = await standing_as_of(context, town_id, as_of)
    state = await context.loaders.state_at.load((town_id, bead_id, at))
    if state is None:
        raise Refused(NotFound(kind="bead at that time", name=bead_id, path=("asOf",)))
    compiled = await compiled_set(context, town_id, version)
    return _answered(context, resolve(compiled.table, mapping.task_of(state)), bead_id)


async def _home(context: Context, bead_id: str) -> str:
    """The town that a bead belongs to. Raises `Refused` with `NOT_FOUND`."""
    homes, towns = context.store.rows.homes, context.asker.grant.towns
    town_id = homes.get(bead_id)
    if town_id is None:
        bead = await context.loaders.bead.load(bead_id)
        town_id = None if bead is None else homes.keep(bead_id, bead.town_id)
    if town_id is None or (towns is not None and town_id not in towns):
        raise Refused(NotFound(kind="bead", name=bead_id, path=("beadId",)))
    return town_id


async def resolve_beads(context: Context, bead_ids: list[strawberry.ID]) -> list[BeadResolution]:
    """Each bead as it stands, in the order asked, all from one snapshot. Raises `Refused` with `TOO_MANY`."""
    if len(bead_ids) > MAX_BEADS:
        raise Refused(TooMany(kind="bead ids", limit=MAX_BEADS, given=len(bead_ids), path=("beadIds",)))
    standings, compiled = await context.store.fetch(lambda session: _standings(context, session, bead_ids))
    answers = []
    for index, bead_id in enumerate(bead_ids):
        if bead_id not in standings:
            problem = NotFound(kind="bead", name=bead_id, path=("beadIds", str(index)))
            answers.append(BeadResolution(bead_id=bead_id, error=UserError(problem=problem)))
            continue
        row, version = standings[bead_id]
        resolved = resolve(compiled[row.town_id, version].table, mapping.task_of(row))
        answers.append(BeadResolution(bead_id=bead_id, resolution=_answered(context, resolved, bead_id)))
    return answers


async def _standings(
    context: Context, session: Session, bead_ids: list[strawberry.ID]
) -> tuple[dict[str, tuple[BeadRow, int]], dict[tuple[str, int], CompiledSet]]:
    """Beads with the version in force in their towns, and the compiled sets of those versions."""
    standings = await towns.standings(session, bead_ids, within=context.asker.grant.towns)
    keys = {(row.town_id, version) for row, version in standings.values()}
    return standings, await context.store.tables.get(session, keys)


async def resolve_task(context: Context, town_id: str, task_input: TaskInput, as_of: AsOf | None) -> Resolution:
    """A described task under a town's set. Raises `Refused`: `NOT_FOUND`, `UNKNOWN_RIG`, `INVALID_MODEL`."""
    task = await known_task(context, town_id, task_input)
    version = await version_in_force(context, town_id)
    if as_of is not None:
        version, _ = await standing_as_of(context, town_id, as_of)
    return _answered(context, resolve((await compiled_set(context, town_id, version)).table, task))


async def resolve_default(context: Context, town_id: str) -> Resolution:
    """No role, no task: what only `*` decides."""
    version = await version_in_force(context, town_id)
    return _answered(context, resolve((await compiled_set(context, town_id, version)).table, NO_TASK))


async def known_task(context: Context, town_id: str, task_input: TaskInput) -> Task:
    """The task, whose rig the town has or had. Raises `Refused`."""
    task = task_input.task
    if task.rig_id is not None and await context.loaders.rig.load((town_id, task.rig_id)) is None:
        await version_in_force(context, town_id)  # a town that is not there comes first
        raise Refused(UnknownRig(rig_id=task.rig_id, path=("task", "rigId")))
    return task


async def version_in_force(context: Context, town_id: str) -> int:
    """The version of the town's current set. Raises `Refused` with `NOT_FOUND`."""
    head = await context.loaders.head.load(town_id)
    if head is None or head.version == 0:
        raise Refused(NotFound(kind="town", name=town_id, path=("townId",)))
    return head.version


async def compiled_set(context: Context, town_id: str, version: int) -> CompiledSet:
    """A set that is known to exist, compiled."""
    key = (context.asker.grant.concealed(town_id), version)
    compiled = context.store.tables.known(key) or await context.loaders.compiled.load(key)
    if compiled is None:
        raise LookupError(f"override set {version} of town {town_id} is not stored")
    return compiled


async def standing_as_of(context: Context, town_id: str, as_of: AsOf) -> tuple[int, datetime]:
    """The version in force and the instant that `as_of` means. Raises `Refused`: `NOT_FOUND`, `INVALID_INPUT`."""
    if as_of.version is not None:
        version = as_of.version.value
        row = await context.loaders.override_set.load((town_id, version))
        if row is None:
            raise Refused(NotFound(kind="version", name=str(version), path=("asOf", "version")))
        return row.version, row.created_at
    at = as_of.at.value if as_of.at is not None else context.store.clock()
    head = await context.loaders.head.load(town_id)
    # A write under way may have taken an instant up to now: what was not settled yet could be answered in two ways.
    if (
        head is not None
        and head.version > 0
        and at > head.instant
        and at >= await context.loaders.settled.load((town_id, at))
    ):
        raise Refused(InvalidInput(path=("asOf", "at"), expected="an instant that has passed"))
    row = await context.loaders.set_at.load((town_id, at))
    if row is None:
        raise Refused(NotFound(kind="override set in force at", name=at.isoformat(), path=("asOf", "at")))
    return row.version, at
