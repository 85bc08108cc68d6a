"""Verifies an export of an audit record. Written from docs/audit-format.md alone: nothing of Townclerk is used.

python independent_verifier.py EXPORT.jsonl [SEQ:HASH] says what is wrong first, with exit code 1, or nothing, with 0.
"""

import hashlib
import json
import sys
from pathlib import Path


def must(condition: object, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


class Chain:
    def __init__(self, line: bytes) -> None:
        fields = json.loads(line)
        header = {"townclerkAuditExport": 1, **{name: fields[name] for name in ("chain", "since", "until")}}
        must(line == json.dumps(header, separators=(",", ":")).encode(), "it is no header")
        self.name, self.is_part = header["chain"], header["since"] is not None
        self.head, self.time, self.entries, self.heads = (0, bytes(32).hex()), "", 0, {(0, bytes(32).hex())}

    def follow(self, line: bytes) -> None:
        entry, canonical = json.loads(line)["entry"], line[83:-1]
        before = (entry["sequence"] - 1, entry["previousHash"])
        if self.is_part and self.entries == 0 and before[0] > 0:
            self.head = before  # on trust
        follows = before == self.head and entry["chain"] == self.name and entry["occurredAt"] > self.time
        must(follows, "it is not the next entry")
        digest = hashlib.sha256(b"townclerk-audit-v1\n" + bytes.fromhex(before[1]) + canonical).hexdigest()
        must(line == b'{"hash":"%b","entry":%b}' % (digest.encode(), canonical), "its hash is another")
        self.head, self.time, self.entries = (entry["sequence"], digest), entry["occurredAt"], self.entries + 1
        self.heads.add(self.head)


def verify(export: bytes, expected: tuple[int, str] | None = None) -> str | None:
    """The first thing that is wrong with an export of one or more chains, if any; `expected` is a head of each."""
    chain = None
    *lines, rest = export.split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            if chain is None:
                chain = Chain(line)
            elif line.startswith(b'{"end":'):
                end = b'{"end":{"entries":%d,"head":{"sequence":%d,"hash":"%b"}}}'
                must(line == end % (chain.entries, chain.head[0], chain.head[1].encode()), "it is not how it ends")
                must(expected is None or expected in chain.heads, "the expected head did not come before it")
                chain = None
            else:
                chain.follow(line)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return f"line {number}: {error}"
    return None if lines and chain is None and not rest else "it has no end"


if __name__ == "__main__":
    heads = [(int(sequence), digest) for sequence, digest in (head.split(":") for head in sys.argv[2:])]
    sys.exit(verify(Path(sys.argv[1]).read_bytes(), *heads))
