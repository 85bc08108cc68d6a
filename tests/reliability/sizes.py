"""How large the proofs are, and what they have to report.

The environment variable `SOAK` makes them large: `SOAK=full`, or `SOAK=towns=3000,kills=40` for full sizes but these.
`SOAK_REPORT` names a file that each proof that holds adds a line of JSON to.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

SECONDS: Final = 60  # for what takes one or two when there is nothing else to do

_SOAK: Final = os.environ.get("SOAK", "")
_REDUCED: Final = dict(size.split("=") for size in _SOAK.split(",") if "=" in size)


def sized(name: str, *, ci: int, full: int) -> int:
    """How many of what is called `name`: for `make test`, or for `make soak`."""
    return int(_REDUCED.get(name, full)) if _SOAK else ci


def report(proof: str, backend: str, counts: dict[str, Any]) -> None:
    """Say what a proof has come to; `counts` by what was counted, in words that follow the number."""
    if path := os.environ.get("SOAK_REPORT"):
        line = json.dumps({"proof": proof, "backend": backend, "counts": counts}, ensure_ascii=False)
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
