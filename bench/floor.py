"""Where the CPU of a bare route goes: to uvicorn, to Starlette, and what our own end of a connection adds."""

from contextlib import ExitStack
from typing import Final

from bench.questions import hot
from bench.rounds import Target
from bench.stage import BARE, Stage, first_answer
from bench.table import RATIO_COLUMNS, Table, ratio
from tests.tokens import make_token

OWN: Final = "api.hatched:HatchedHttp"
SHOWN: Final = {
    "the bare route on our own protocol class": ("app", OWN),
    "no Starlette: constant bytes once the body is read": ("raw", "httptools"),
    "no Starlette, on our own protocol class": ("raw", OWN),
}


def where_it_goes(stage: Stage) -> Table:
    """The bare route without Starlette, and both on the protocol class that Townclerk serves by."""
    url, question = stage.filled("sqlite"), hot()
    token = make_token(url, "dispatcher")
    requests = stage.requests(question, token)
    with stage.ours(url) as served:
        answer = first_answer(served, question, token)
    with ExitStack() as stack:
        servers = [stack.enter_context(stage.bare(answer))]
        for name, (app, http) in SHOWN.items():
            servers.append(stack.enter_context(stage.bare(answer, app=app, http=http, name=name)))
        costed = stage.compared(*(Target(served=it, requests=requests) for it in servers))
    rows = tuple(ratio(name, costed, of=name, against=BARE) for name in SHOWN)
    return Table(heading="Where the bare route's cost goes", columns=RATIO_COLUMNS, rows=rows)
