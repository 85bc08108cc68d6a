"""The page on the format of the record: its worked entries and vectors are what the program makes of them."""

import json
import re
from pathlib import Path
from typing import Final

from models.domain.audit import AuditAction
from models.domain.canonical import canonical_bytes
from models.domain.export import CANONICAL_OFFSET
from models.domain.replay import Replay
from models.domain.verification import ChainCheck
from tests.following import verify_chain

PAGE: Final = (Path(__file__).parents[2] / "docs" / "audit-format.md").read_text(encoding="utf-8")
WORKED: Final = re.findall(
    r"^Entry \d+, (\d+) bytes:\n\n```json\n(.*)\n```\n\nhash: `([0-9a-f]{64})`$", PAGE, re.MULTILINE
)
LINKS: Final = [(text.encode(), digest) for _, text, digest in WORKED]


def test_worked_entries__on_the_page__are_a_chain() -> None:
    assert len(WORKED) == 3
    assert [int(length) for length, _, _ in WORKED] == [len(canonical) for canonical, _ in LINKS]
    found = verify_chain("lindau", LINKS)
    assert (found.ok, found.entries) == (True, 3)


def test_worked_entries__on_the_page__tell_of_a_town() -> None:
    check, replay = ChainCheck("lindau"), Replay("lindau")
    for link in LINKS:
        replay.apply(check.follow(*link))
    assert (replay.name, replay.version, list(replay.rigs)) == ("Lindau", 2, ["web"])


def test_worked_entries__in_canonical_bytes__are_what_any_reader_of_the_rules_writes() -> None:
    for canonical, _ in LINKS:
        assert canonical_bytes(json.loads(canonical)) == canonical


def test_vectors__on_the_page__are_what_the_program_writes() -> None:
    vectors = re.findall(r'^\| `([{"].*[}"])` \| (.*) \|$', PAGE, re.MULTILINE)
    assert len(vectors) == 3
    for value, shown in vectors:
        written = "".join("\x7f" if "U+007F" in part else part for part in re.split(r"`", shown))
        assert canonical_bytes(json.loads(value)).decode() == written


def test_actions__on_the_page__are_all_there_are() -> None:
    table = PAGE[PAGE.index("| action | target |") : PAGE.index("The last six stand")]
    assert set(re.findall(r"`([A-Z_]+)`", table)) == {it.name for it in AuditAction}


def test_offset__on_the_page__is_where_canonical_bytes_begin() -> None:
    assert f"begin {CANONICAL_OFFSET} bytes into the line" in PAGE
