"""Profiles as they are drafted, checked and stored; publishing and previewing share all of it."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.audit import CENTRAL_CHAIN
from models.domain.errors import InvalidInput, Problem, Refused, TooMany, refuse_if_any
from models.domain.overrides import OverrideSet
from models.domain.profiles import ProfileTable, is_own
from models.domain.rules import DraftRule, Rule, check_profile_rules, model_problems
from models.domain.vocabulary import MAX_OVERRIDES, OWN_PROFILE_PREFIX, is_profile_name
from models.services.history import Caller
from models.store import mapping
from models.store.heads import Head
from models.store.policies import ProfileVersionRow
from models.store.queries import policies
from models.store.tables import CompiledSet, profile_tables
from models.store.unit import WriteUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileDraft:
    """The next version of a profile as someone typed it. `town_id` is None for a central profile."""

    name: str
    town_id: str | None
    small_model: str
    rules: tuple[DraftRule, ...]

    @property
    def owner(self) -> str:
        return CENTRAL_CHAIN if self.town_id is None else self.town_id

    def name_problems(self) -> list[Problem]:
        if not is_profile_name(self.name):
            expected = "1 to 64 lower-case letters, digits and . _ : - that begin with a letter"
        elif self.town_id is None and is_own(self.name):
            expected = f"a name that does not begin with {OWN_PROFILE_PREFIX}, which is for a town's own profiles"
        elif self.town_id is not None and not is_own(self.name):
            expected = f"a name that begins with {OWN_PROFILE_PREFIX}, for a profile of the town's own"
        else:
            return []
        return [InvalidInput(path=("name",), expected=expected)]


def profile_owner(town_id: str, name: str) -> str:
    """Who owns the profile that a town calls `name`: the town itself, or the centre."""
    return town_id if is_own(name) else CENTRAL_CHAIN


def compiled(override_set: OverrideSet) -> CompiledSet:
    """A set as `TableCache` gives it, without being read."""
    owner = profile_owner(override_set.town_id, override_set.profile.name)
    return CompiledSet(profile_owner=owner, override_set=override_set)


async def latest_profile(session: AsyncSession, owner: str, name: str, *, locking: bool) -> ProfileTable | None:
    """The latest version of a profile. `locking` keeps it the latest until the transaction ends."""
    if not is_profile_name(name):
        return None
    if locking:
        row = await policies.locked_profile(session, owner, name, share=True)
    else:
        row = (await policies.profiles(session, [(owner, name)])).get((owner, name))
    if row is None:
        return None
    key = (owner, name, row.version)
    return (await profile_tables(session, [key]))[key]


async def check_profile_draft(session: AsyncSession, draft: ProfileDraft, *, version: int) -> ProfileTable:
    """The draft as a profile version. Raises `Refused` with every problem of its models and rules."""
    if len(draft.rules) > MAX_OVERRIDES:
        raise Refused(TooMany(kind="rules", limit=MAX_OVERRIDES, given=len(draft.rules), path=("rules",)))
    models = await policies.known_models(session, {draft.small_model, *(rule.model for rule in draft.rules)})
    problems = model_problems(draft.small_model, models=models, path=("smallModel",))
    rules: tuple[Rule, ...] = ()
    try:
        rules = check_profile_rules(draft.rules, models=models)
    except Refused as refused:
        problems.extend(problem.under("rules") for problem in refused.problems)
    refuse_if_any(problems)
    return ProfileTable(name=draft.name, version=version, small_model=draft.small_model, rules=rules)


async def insert_profile_version(
    unit: WriteUnit, head: Head, caller: Caller, *, owner: str, table: ProfileTable, reason: str | None
) -> None:
    """Insert the rows of a version; its profile's row is there already. `head` gives the instant."""
    unit.session.add(
        ProfileVersionRow(
            owner=owner,
            name=table.name,
            version=table.version,
            small_model=table.small_model,
            content_hash=table.content_hash,
            reason=reason,
            published_at=head.instant,
            actor_id=caller.actor.actor_id,
            on_behalf_of=caller.actor.on_behalf_of,
            credential_id=caller.credential_id,
            request_id=caller.request_id,
        )
    )
    await unit.session.flush()
    unit.session.add_all(mapping.profile_rule_rows(owner, table))
    await unit.session.flush()


def profile_record(owner: str, title: str, table: ProfileTable) -> dict[str, object]:
    """A profile version as audit entries tell of it."""
    return {
        "townId": None if owner == CENTRAL_CHAIN else owner,
        "name": table.name,
        "title": title,
        "version": table.version,
        "smallModel": table.small_model,
        "rules": {rule.key.spelling: rule.model for rule in table.rules},
        "contentHash": table.content_hash,
    }
