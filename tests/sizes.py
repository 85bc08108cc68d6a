"""How large the proofs are, and what they have to report.

`make test` runs all of them, small, so that whoever changes something waits for three minutes. The environment variable
`SOAK` makes them larger: `SOAK=ci` as they run in `.ci/run`, `SOAK=full` as `make soak` runs them, and
`SOAK=towns=3000,kills=40` full but for these. `SOAK_REPORT` names a file that each proof that holds adds a line of JSON
to.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

SECONDS: Final = 60  # for what takes one or two when there is nothing else to do

_SOAK: Final = os.environ.get("SOAK", "")
_REDUCED: Final = dict(size.split("=") for size in _SOAK.split(",") if "=" in size)


def sized(name: str, *, quick: int, ci: int, full: int | None = None) -> int:
    """How many of what is called `name`; where there is no `full` size, that of `.ci/run` is all that is to be had."""
    if _SOAK in {"", "ci"}:
        return ci if _SOAK else quick
    return int(_REDUCED.get(name, full or ci))


def report(proof: str, backend: str, counts: dict[str, Any]) -> None:
    """Say what a proof has come to; `counts` by what was counted, in words that follow the number."""
    if path := os.environ.get("SOAK_REPORT"):
        line = json.dumps({"proof": proof, "backend": backend, "counts": counts}, ensure_ascii=False)
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
