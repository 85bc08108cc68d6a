"""Commands that show how things came to be: the changes of a chain, and what differs between two versions."""

import json
from datetime import datetime
from typing import Any, Final

import click
from rich.table import Table

from api.cli.base import console, shown
from api.cli.group import CouldNotError, cli
from api.cli.reading import ask
from models.domain.audit import TargetType
from models.domain.errors import NotFound

Json = dict[str, Any]

_ENTRIES: Final = """
query ($townId: ID, $first: Int, $after: String) {
  auditEntries(townId: $townId, first: $first, after: $after) {
    edges { cursor node {
      townId sequence occurredAt actor { actorId displayName onBehalfOf } action targetType targetId
      versionBefore versionAfter reason requestId before after previousHash hash
    } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
_SETS: Final = """
query ($townId: ID!, $before: Int!, $after: Int!) {
  town(townId: $townId) {
    overrideSetAt(asOf: {version: $after}) {
      diff(against: $before) {
        from to profileBefore profileAfter profileVersionBefore profileVersionAfter
        honorBeadModelsBefore honorBeadModelsAfter changes { key before after }
      }
    }
  }
}
"""
_PROFILES: Final = """
query ($townId: ID, $name: String!, $before: Int!, $after: Int!) {
  profile(name: $name, townId: $townId) {
    name
    from: version(number: $before) { version smallModel }
    to: version(number: $after) { version smallModel diff(against: $before) { key before after } }
  }
}
"""
_TOWN: Final = "query ($townId: ID!) { town(townId: $townId) { townId } }"
_NAMED_TARGETS: Final = {TargetType.RIG, TargetType.PROFILE, TargetType.MODEL}  # others say nothing that is not there


@cli.command()
@click.option("--town", help="The town whose changes to show; without it, those of profiles and models.")
@click.option("--first", default=20, show_default=True, help="How many, at most 200.")
@click.option("--after", metavar="CURSOR", help="Go on where another page ended.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def history(town: str | None, first: int, after: str | None, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Show who changed what, when and why, newest first."""
    page: Json = ask(_ENTRIES, townId=town, first=first, after=after)["auditEntries"]
    if as_json:
        _print_json(page)
        return
    table = Table("#", "when (UTC)", "who", "what", "version", "why")
    for entry in (edge["node"] for edge in page["edges"]):
        table.add_row(
            str(entry["sequence"]),
            f"{datetime.fromisoformat(entry['occurredAt']):%Y-%m-%d %H:%M:%S}",
            shown(_who(entry["actor"])),
            shown(_what(entry)),
            _versions(entry["versionBefore"], entry["versionAfter"]),
            shown(entry["reason"] or ""),
        )
    out = console()
    out.print(table)
    if page["pageInfo"]["hasNextPage"]:
        out.print(f"older ones: --after {page['pageInfo']['endCursor']}", highlight=False, soft_wrap=True)


@cli.command()
@click.argument("before", metavar="FROM", type=int)
@click.argument("after", metavar="TO", type=int)
@click.option("--town", help="The town whose override sets to compare, or that owns the profile.")
@click.option("--profile", metavar="NAME", help="Compare versions of this profile.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def diff(before: int, after: int, town: str | None, profile: str | None, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Show what differs between two override sets of a town, or between two versions of a profile."""
    if profile is not None:
        _diff_profiles(profile, town, before, after, as_json=as_json)
    elif town is not None:
        _diff_sets(town, before, after, as_json=as_json)
    else:
        raise CouldNotError("--town T, --profile NAME or both have to say what to compare")


def _diff_sets(town_id: str, before: int, after: int, *, as_json: bool) -> None:
    town: Json | None = ask(_SETS, townId=town_id, before=before, after=after)["town"]
    if town is None:
        raise _missing("town", town_id)
    found: Json = town["overrideSetAt"]["diff"]
    if as_json:
        _print_json(found)
        return
    facts = [
        ("profile", found["profileBefore"], found["profileAfter"]),
        ("profile version", str(found["profileVersionBefore"]), str(found["profileVersionAfter"])),
        ("bead models honoured", _yes_or_no(found["honorBeadModelsBefore"]), _yes_or_no(found["honorBeadModelsAfter"])),
    ]
    rules = [(change["key"], change["before"], change["after"]) for change in found["changes"]]
    _print_diff(f"town {town_id}", "override", before, after, facts=facts, rules=rules)


def _diff_profiles(name: str, town_id: str | None, before: int, after: int, *, as_json: bool) -> None:
    if town_id is not None and ask(_TOWN, townId=town_id)["town"] is None:
        raise _missing("town", town_id)
    profile: Json | None = ask(_PROFILES, townId=town_id, name=name, before=before, after=after)["profile"]
    if profile is None:
        raise _missing("profile", name)
    for side, version in (("from", before), ("to", after)):
        if profile[side] is None:
            raise _missing("version", str(version))
    if as_json:
        _print_json(profile)
        return
    facts = [("small model", profile["from"]["smallModel"], profile["to"]["smallModel"])]
    rules = [(change["key"], change["before"], change["after"]) for change in profile["to"]["diff"]]
    _print_diff(f"profile {name}", "rule", before, after, facts=facts, rules=rules)


def _print_diff(
    subject: str,
    kind: str,
    before: int,
    after: int,
    *,
    facts: list[tuple[str, str, str]],
    rules: list[tuple[str, str | None, str | None]],
) -> None:
    """What differs, a row each; `kind` is what one of `rules` (key, model before, model after) is called."""
    out = console()
    changed = [(what, old, new) for what, old, new in facts if old != new]
    changed += [(f"{kind} {key}", old or "none", new or "none") for key, old, new in rules]
    if not changed:
        out.print(shown(f"No change in {subject} from version {before} to {after}."), highlight=False)
        return
    table = Table("what", f"version {before}", f"version {after}", title=shown(subject), title_justify="left")
    for row in changed:
        table.add_row(*map(shown, row))
    out.print(table)


def _who(actor: Json) -> str:
    for_whom = actor["onBehalfOf"]
    return actor["displayName"] if for_whom is None else f"{actor['displayName']} for {for_whom}"


def _what(entry: Json) -> str:
    return f"{entry['action']} {entry['targetId']}" if entry["targetType"] in _NAMED_TARGETS else entry["action"]


def _versions(before: int | None, after: int | None) -> str:
    if after is None:
        return ""
    return f"{before or ''} -> {after}".strip()


def _yes_or_no(flag: bool) -> str:  # noqa: FBT001  # the value to show
    return "yes" if flag else "no"


def _missing(kind: str, name: str) -> CouldNotError:
    return CouldNotError(NotFound(kind=kind, name=name).message)


def _print_json(answer: Json) -> None:
    """As ASCII: a terminal that shows it is steered by nothing in it."""
    click.echo(json.dumps(answer))
