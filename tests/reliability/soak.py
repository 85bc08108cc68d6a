"""Run the proofs in full size, and write what came of it into docs/reliability.md: `make soak`.

Only a run in which all of them hold changes the page.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.databases import BACKENDS

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reliability.md"
PROOFS: Final = (
    ROOT / "tests" / "reliability",
    ROOT / "tests" / "e2e" / "test_feeds.py",
    ROOT / "tests" / "contract" / "test_disk_full.py",
)
BEGIN: Final = "<!-- written by make soak -->"
END: Final = "<!-- end of what make soak writes -->"
NAMES: Final = dict(zip(BACKENDS, ("SQLite", "PostgreSQL"), strict=True))


def main() -> int:
    sizes = os.environ.get("SOAK") or "full"
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.jsonl"
        path.touch()
        environment = {**os.environ, "SOAK": sizes, "SOAK_REPORT": str(path), "CI": "true"}
        tests = [sys.executable, "-m", "pytest", "-n", "0", "-x", *map(str, PROOFS)]
        code = subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode
        if code != 0:
            return code
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    heading = (
        f"Sizes: {sizes}. Run on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}, in {(time.monotonic() - started) / 60:.0f} minutes."
    )
    block = "\n".join([BEGIN, heading, "", *table(lines), END])
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: block, page, flags=re.DOTALL), encoding="utf-8")
    return 0


def table(lines: Sequence[dict[str, Any]]) -> list[str]:
    """The lines of a Markdown table of what the proofs report."""
    rows = ["| proof | database | counts |", "| --- | --- | --- |"]
    for line in lines:
        counts = ", ".join(f"{count:,} {name}" for name, count in line["counts"].items())
        rows.append(f"| {line['proof']} | {NAMES[line['backend']]} | {counts} |")
    return rows


if __name__ == "__main__":
    sys.exit(main())
