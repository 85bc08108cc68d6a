"""What the servers are asked: documents with many different variables, written down as the bytes of HTTP requests."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bulk import RIGS

TOWNS: Final = tuple(f"town-{number}" for number in range(20))
BEADS_PER_TOWN: Final = 250
BATCH: Final = 100  # beads of one `resolutions`

RESOLUTION: Final = "model smallModel because fingerprint overrideSetVersion matchedRule { source key title }"
HOT: Final = f"query($id: ID!) {{ resolution(beadId: $id) {{ {RESOLUTION} }} }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A document, and the variables that it is sent with in turns."""

    name: str
    document: str
    variables: tuple[dict[str, Any], ...] = field(repr=False)


def bead_ids() -> list[str]:
    """Every bead of the database, so that neighbours belong to different towns."""
    return [f"{town}-{number}" for number in range(BEADS_PER_TOWN) for town in TOWNS]


def hot(ids: Iterable[str] | None = None) -> Question:
    """The dispatcher's query."""
    return Question(name="hot", document=HOT, variables=_each("id", bead_ids() if ids is None else ids))


def dispatchers() -> list[Question]:
    """The dispatcher's other queries."""
    beads = bead_ids()
    batches = [beads[at : at + BATCH] for at in range(0, len(beads), BATCH)]
    tasks = [
        {"t": town, "task": {"role": "POLECAT", "rigId": rig, "labels": labels}}
        for town in TOWNS
        for rig in RIGS
        for labels in ([], ["gt:pr-fixup"])
    ]
    considered = "considered { key title model outcome source }"
    return [
        Question(
            name="with `considered`",
            document=f"query($id: ID!) {{ resolution(beadId: $id) {{ {RESOLUTION} {considered} }} }}",
            variables=_each("id", beads),
        ),
        Question(
            name="`mayor`",
            document="query($t: ID!) { town(townId: $t) { mayor { desired { model smallModel fingerprint } "
            "restartRequired overrideSetVersion } } }",
            variables=_each("t", TOWNS),
        ),
        Question(
            name="`taskResolution`",
            document="query($t: ID!, $task: TaskInput!) { taskResolution(townId: $t, task: $task) "
            f"{{ {RESOLUTION} }} }}",
            variables=tuple(tasks),
        ),
        Question(
            name="`resolutions`",
            document=f"query($ids: [ID!]!) {{ resolutions(beadIds: $ids) {{ beadId resolution {{ {RESOLUTION} }} "
            "error { code message } } }",
            variables=tuple({"ids": batch} for batch in batches),
        ),
    ]


def others() -> list[Question]:
    """Cached queries that are not the dispatcher's."""
    as_of = "query($id: ID!, $v: Int!) { resolution(beadId: $id, asOf: {version: $v}) { model because } }"
    return [
        Question(name="`viewer`", document="{ viewer { name scopes towns } }", variables=({},)),
        Question(
            name="`towns`, a page of 10",
            document="{ towns(first: 10) { edges { node { townId name } } pageInfo { hasNextPage endCursor } } }",
            variables=({},),
        ),
        Question(
            name="`bead` with its town",
            document="query($id: ID!) { bead(beadId: $id) { beadId title status labels town { townId name } } }",
            variables=_each("id", bead_ids()),
        ),
        Question(
            name="`resolution` as of a version",
            document=as_of,
            variables=tuple({"id": bead, "v": 1 + number % 2} for number, bead in enumerate(bead_ids())),
        ),
        Question(
            name="`overrideSet` with its `effectiveRules`",
            document="query($t: ID!) { town(townId: $t) { overrideSet { version "
            "effectiveRules { rule { key model } source } } } }",
            variables=_each("t", TOWNS),
        ),
    ]


def write_requests(file: Path, question: Question, token: str) -> Path:
    """Write the requests for the load client; gives the file."""
    file.write_text(json.dumps([request_of(body, token) for body in bodies(question)]), encoding="ascii")
    return file


def bodies(question: Question) -> list[str]:
    return [json.dumps({"query": question.document, "variables": given}) for given in question.variables]


def request_of(body: str, token: str) -> str:
    """A request with that body, as the bytes of HTTP, which are ASCII."""
    lines = [
        "POST /graphql HTTP/1.1",
        "Host: 127.0.0.1:8000",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        "Accept: application/json",
        "User-Agent: dispatcher",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body])


def _each(name: str, values: Iterable[str]) -> tuple[dict[str, Any], ...]:
    return tuple({name: value} for value in values)
