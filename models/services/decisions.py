"""What a town's next override set shall say, worked out from what someone asked for. Reads only: previews use it too.

`Desk` is where the current set and what it may name lie side by side; each method gives a `Choice` or raises `Refused`
with problems whose paths start at the mutation's input.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.errors import NotFound, Problem, Refused, TooMany, UnknownProfile, refuse_if_any
from models.domain.overrides import Choice
from models.domain.profiles import ProfileTable
from models.domain.rules import DraftKey, DraftRule, Rule, check_override_rules
from models.domain.vocabulary import MAX_OVERRIDES
from models.services.profiles import latest_profile, profile_owner
from models.store.queries import policies, towns
from models.store.tables import CompiledSet, TableCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An edit of a town's choices. What is None stays as it is in the current version."""

    profile: str | None = None
    honor_bead_models: bool | None = None
    overrides: tuple[DraftRule, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A town as a decision finds it. `locking` where a write depends on the answer."""

    session: AsyncSession
    tables: TableCache
    current: CompiledSet
    locking: bool

    @property
    def town_id(self) -> str:
        return self.current.override_set.town_id

    async def from_draft(self, draft: Draft) -> Choice:
        """The draft laid over the current set. The profile's version moves only where another profile is chosen."""
        current = self.current.override_set
        problems: list[Problem] = []
        profile = current.profile
        if draft.profile is not None and draft.profile != profile.name:
            try:
                profile = await self._latest(draft.profile)
            except Refused as refused:
                problems.extend(problem.under("draft") for problem in refused.problems)
        rules = current.rules
        if draft.overrides is not None:
            try:
                rules = await self._checked(draft.overrides)
            except Refused as refused:
                problems.extend(problem.under("draft", "overrides") for problem in refused.problems)
        refuse_if_any(problems)
        honor = current.honor_bead_models if draft.honor_bead_models is None else draft.honor_bead_models
        return Choice(profile=profile, honor_bead_models=honor, rules=rules)

    async def with_profile(self, name: str) -> Choice:
        current = self.current.override_set
        profile = await self._latest(name)
        return Choice(profile=profile, honor_bead_models=current.honor_bead_models, rules=current.rules)

    async def with_override(self, draft: DraftRule) -> Choice:
        """The current set with one override set. One that is stale already is renewed, though it reads the same."""
        current = self.current.override_set
        try:
            (rule,) = await self._checked((draft,))
        except Refused as refused:
            # what `_checked` counts by index is the one override of the input
            raise Refused(_at_override(problem) for problem in refused.problems) from refused
        others = tuple(other for other in current.rules if other.key != rule.key)
        if len(others) + 1 > MAX_OVERRIDES:
            problem = TooMany(kind="overrides", limit=MAX_OVERRIDES, given=len(others) + 1, path=("override",))
            raise Refused(problem)
        renewed = {rule.key} & current.stale_keys() if rule in current.rules else frozenset()
        return Choice(
            profile=current.profile,
            honor_bead_models=current.honor_bead_models,
            rules=(*others, rule),
            renewed=frozenset(renewed),
        )

    def without_override(self, draft: DraftKey) -> Choice:
        current = self.current.override_set
        key = draft.key()
        if key not in current.models_by_key:
            given = (("rigId", draft.rig_id), ("label", draft.label), ("role", draft.role))
            path = next(((field,) for field, value in given if value is not None), ())
            raise Refused(NotFound(kind="override", name=key.spelling, path=path))
        rules = tuple(rule for rule in current.rules if rule.key != key)
        return Choice(profile=current.profile, honor_bead_models=current.honor_bead_models, rules=rules)

    async def reverted(self, to_version: int) -> Choice:
        """What an earlier version said, over the latest version of its profile."""
        key = (self.town_id, to_version)
        earlier = (await self.tables.get(self.session, [key])).get(key)
        if earlier is None:
            raise Refused(NotFound(kind="version", name=str(to_version), path=("toVersion",)))
        then = earlier.override_set
        profile = await self._latest(then.profile.name)
        return Choice(profile=profile, honor_bead_models=then.honor_bead_models, rules=then.rules)

    async def _latest(self, name: str) -> ProfileTable:
        profile = await latest_profile(self.session, profile_owner(self.town_id, name), name, locking=self.locking)
        if profile is None:
            raise Refused(UnknownProfile(name=name, path=("profile",)))
        return profile

    async def _checked(self, drafts: tuple[DraftRule, ...]) -> tuple[Rule, ...]:
        if len(drafts) > MAX_OVERRIDES:
            raise Refused(TooMany(kind="overrides", limit=MAX_OVERRIDES, given=len(drafts)))
        models = await self._known_models({draft.model for draft in drafts})
        rigs = await towns.rig_ids(self.session, self.town_id)
        carried = self.current.override_set.models_by_key
        return check_override_rules(drafts, models=models, rigs=rigs, carried=carried)

    async def _known_models(self, model_ids: set[str]) -> Collection[str]:
        """Those of the catalogue. It knows what the town's rules say now, as nothing is ever taken out of it."""
        current = self.current.override_set
        in_use = {rule.model for rule in (*current.profile.rules, *current.rules)}
        others = model_ids - in_use
        return in_use if not others else in_use | await policies.known_models(self.session, others)


def _at_override(problem: Problem) -> Problem:
    """A problem of the only rule of a list, seen from the input that holds the rule as `override`."""
    fields = problem.path[1:] if problem.path[:1] == ("0",) else problem.path
    return problem.moved_to("override", *fields)
