"""`townclerk audit verify`, from a database and from an export alone."""

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Final

import pytest

from models.domain.audit import CENTRAL_CHAIN
from tests.client import Json, serving
from tests.databases import Databases
from tests.e2e.process import SCRIPT, SECONDS, Finished, script, townclerk
from tests.tampering import entry_update, owning
from tests.towns import OPUS, publish, rule, sync

TOWN: Final = "audited"
NO_DATABASE: Final = "sqlite:////nowhere/at/all.db"


@pytest.fixture(scope="module")
def url(backend: str, databases: Databases) -> str:
    """A database with a town of four entries. No test writes to it."""
    made = databases.fresh(backend)
    with serving(made) as api:
        api.done("createTown", townId=TOWN, name="Audited")
        api.done("registerRig", townId=TOWN, rigId="web", name="Web")
        sync(api, TOWN, {"beadId": "audited-1", "title": "Ärger — 100 %"})
        publish(api, TOWN, overrides=[rule(OPUS, "POLECAT")])
    return made


@pytest.fixture(scope="module")
def tampered(backend: str, databases: Databases, url: str) -> str:
    """A copy of it in which the third entry of the town was changed."""
    copy = databases.copy(backend, url)
    with owning(copy) as owner:
        canonical = owner.entries(TOWN)[2]["canonical"].replace(b"100", b"200")
        owner.tamper(entry_update(TOWN, 3, canonical=canonical))
    return copy


@pytest.fixture(scope="module")
def export(url: str) -> bytes:
    done = townclerk(url, "audit", "export", "--town", TOWN)
    assert done.code == 0
    return done.out.encode()


def told(done: Finished) -> list[Json]:
    return [json.loads(line) for line in done.out.splitlines()]


def verify_file(path: Path, *arguments: str) -> Finished:
    """Verify an export where there is no database to ask."""
    return townclerk(NO_DATABASE, "audit", "verify", "--file", str(path), *arguments)


def outcome(done: Finished) -> tuple[int, str | None, int | None]:
    """The exit code, and of the only chain what is wrong and where."""
    (found,) = told(done)
    return done.code, found["problemCode"], found["firstBadSequence"]


def test_verify__of_a_part_among_several_chains__tells_that_it_is_one(url: str, tmp_path: Path) -> None:
    with serving(url) as api:
        third = api.entries(TOWN, "occurredAt")[-3]["occurredAt"]
        central = api.http.get("/audit/export").content
        part = api.http.get("/audit/export", params={"townId": TOWN, "since": third}).content
    (tmp_path / "both.jsonl").write_bytes(central + part)
    done = verify_file(tmp_path / "both.jsonl")
    assert done.code == 0
    assert [line.partition(";")[0] for line in done.out.splitlines()[:-1]] == [
        f"town {TOWN}: 2 entries hold, a part that begins with sequence 3"
    ]


# ---------------------------------------------------------------- from the database


def test_verify__of_a_true_database__tells_of_each_chain(url: str) -> None:
    done = townclerk(url, "audit", "verify", "--json")
    assert (done.code, done.err) == (0, "")
    assert [(found["townId"], found["ok"]) for found in told(done)] == [(None, True), (TOWN, True)]
    assert told(done)[1]["entries"] == 4


def test_verify__of_a_database_tampered_with__names_the_first_bad_sequence(tampered: str) -> None:
    done = townclerk(tampered, "audit", "verify", "--json")
    assert done.code == 1
    assert [(found["townId"], found["ok"]) for found in told(done)] == [(None, True), (TOWN, False)]
    only = townclerk(tampered, "audit", "verify", "--town", TOWN, "--json")
    assert outcome(only) == (1, "CHANGED", 3)
    plain = townclerk(tampered, "audit", "verify")
    assert plain.code == 1
    assert "CHANGED at sequence 3" in plain.out


def test_verify__of_the_central_chain__is_of_that_alone(url: str) -> None:
    done = townclerk(url, "audit", "verify", "--town", CENTRAL_CHAIN, "--json")
    assert (done.code, [found["townId"] for found in told(done)]) == (0, [None])


@pytest.mark.parametrize("town", [TOWN, None])
def test_verify__with_a_head_noted_before__holds_against_it(url: str, town: str | None) -> None:
    of_town = () if town is None else ("--town", town)
    with owning(url) as owner:
        noted = owner.entries(town or CENTRAL_CHAIN)[1]["hash"]
    assert townclerk(url, "audit", "verify", *of_town, "--expect-head", f"2:{noted}").code == 0
    assert townclerk(url, "audit", "verify", *of_town, "--expect-head", f"1:{noted}").code == 1
    assert townclerk(url, "audit", "verify", *of_town, "--expect-head", f"9:{noted}").code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--town", "nowhere"),
        ("--town", ""),
        ("--town", "\udcff"),  # what a shell makes of bytes that are no UTF-8
        ("--expect-head", "7"),
        ("--expect-head", f"-1:{'0' * 64}"),
        ("--expect-head", f"1:{'x' * 64}"),
    ],
)
def test_verify__asked_what_it_can_not_look_at__exits_with_2(url: str, arguments: tuple[str, ...]) -> None:
    done = townclerk(url, "audit", "verify", *arguments)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)


# ---------------------------------------------------------------- from an export alone


def test_verify__of_an_export__needs_no_database(export: bytes, tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    path.write_bytes(export)
    assert outcome(verify_file(path, "--json")) == (0, None, None)
    head = json.loads(export.splitlines()[-1])["end"]["head"]
    noted = f"{head['sequence']}:{head['hash']}"
    assert verify_file(path, "--expect-head", noted).code == 0
    assert outcome(verify_file(path, "--expect-head", f"5:{head['hash']}", "--json")) == (1, "TAIL_CUT", 5)


def test_verify__of_an_export_of_all_chains__tells_of_each(url: str, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text(townclerk(url, "audit", "export", "--all").out, encoding="utf-8")
    done = verify_file(path, "--json")
    assert done.code == 0
    assert [found["townId"] for found in told(done)] == [None, TOWN]
    assert verify_file(path, "--town", "nowhere").code == 2
    assert verify_file(path, "--expect-head", f"1:{'0' * 64}").code == 2
    assert verify_file(path, "--town", TOWN, "--expect-head", f"1:{'0' * 64}").code == 1


def forged(export: bytes) -> dict[str, tuple[bytes, str, int]]:
    """Exports that were tampered with, and what is wrong with each, and where."""
    header, *entries, end = export.splitlines(keepends=True)
    return {
        "changed": (export.replace(b"100 %", b"200 %"), "CHANGED", 3),
        "without_an_entry": (b"".join([header, *entries[:1], *entries[2:], end]), "GAP", 2),
        "swapped": (b"".join([header, entries[1], entries[0], *entries[2:], end]), "GAP", 1),
        "twice": (b"".join([header, *entries[:2], entries[1], *entries[2:], end]), "FORK", 2),
        "cut": (b"".join([header, *entries[:3]]), "EXPORT_CUT", 4),
        "cut_in_a_line": (export[: len(header) + len(entries[0]) + 100], "EXPORT_CUT", 2),
        "with_another_end": (b"".join([header, *entries[:3], end]), "TAIL_CUT", 4),
        "with_a_line_of_50_mb": (b"".join([header, entries[0], b"x" * 50_000_000, b"\n", end]), "EXPORT_BROKEN", 2),
    }


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_verify__of_an_export_tampered_with__names_the_first_bad_sequence(export: bytes, tmp_path: Path) -> None:
    for name, (content, problem, sequence) in forged(export).items():
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(content)
        assert outcome(verify_file(path, "--json")) == (1, problem, sequence), name


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_verify__of_what_is_no_export__exits_with_2(url: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "picture").write_bytes(bytes(range(256)) * 100)
    (tmp_path / "other.json").write_bytes(b'{"some": "thing"}\n')
    (tmp_path / "newer").write_bytes(b'{"townclerkAuditExport":2,"chain":"audited","since":null,"until":null}\n')
    csv = townclerk(url, "audit", "export", "--town", TOWN, "--format", "csv").out
    (tmp_path / "table.csv").write_text(csv, encoding="utf-8")
    (tmp_path / "folder").mkdir()
    for name in ("empty", "picture", "other.json", "newer", "table.csv", "folder", "missing"):
        done = verify_file(tmp_path / name)
        assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1), name


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_verify__on_a_terminal__shows_how_far_it_is(url: str) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TOWNCLERK_DATABASE_URL": url, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(
        [SCRIPT, "audit", "verify"], stdout=subprocess.PIPE, stderr=theirs, env=environment, timeout=SECONDS, check=True
    )
    os.close(theirs)
    shown = os.read(ours, 100_000)
    os.close(ours)
    assert b"verifying" in shown
    assert b"verifying" not in done.stdout
    assert script(url, "audit", "verify").err == ""
