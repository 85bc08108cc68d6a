"""The checker of histories: what it lets pass, and each thing that it finds."""

from dataclasses import replace
from typing import Final

import pytest

from tests.reference import answer
from tests.reliability.checker import FIRST, Conflicted, Event, Failed, Published, Read, Setting, Wrong, check
from tests.reliability.load import TASKS
from tests.towns import HAIKU

SETTING: Final = Setting(
    honor_bead_models=True,
    overrides=({"role": "POLECAT", "label": None, "rigId": None, "model": HAIKU},),
)


def says(setting: Setting, task: str = "plain") -> Read:
    """A read at version 1 of what a setting says."""
    read = answer(
        {
            "profile": "balanced",
            "honorBeadModels": setting.honor_bead_models,
            "overrides": list(setting.overrides),
            "task": TASKS[task],
        }
    )
    return Read(client=1, town="t", begun=0, ended=1, version=1, task=task, answer=read)


FIRST_READ: Final = says(FIRST)
MADE: Final = Published(client=1, town="t", begun=2, ended=4, base=1, version=2, setting=SETTING)
REFUSED: Final = Conflicted(client=2, town="t", begun=2, ended=5, base=1, version=2)
NEXT: Final = replace(MADE, client=2, begun=6, ended=7, base=2, version=3, setting=FIRST)
LATE_READ: Final = replace(says(SETTING), client=2, begun=5.5, ended=5.8, version=2)


def test_check__of_what_can_be_true__finds_nothing() -> None:
    meanwhile = [
        replace(FIRST_READ, client=3, begun=2, ended=3),
        replace(LATE_READ, client=4, begun=2.5, ended=3.5),
        replace(FIRST_READ, client=5, begun=3.9, ended=9),  # begun before anything was acknowledged
        replace(FIRST_READ, client=1, town="another", begun=9, ended=10),
    ]
    assert check([FIRST_READ, MADE, REFUSED, LATE_READ, NEXT, *meanwhile], TASKS) == []


FAULTS: Final[dict[Wrong, tuple[list[Event], Event]]] = {
    Wrong.MADE_TWICE: ([MADE], replace(MADE, client=2)),
    Wrong.MISSING: ([MADE], replace(NEXT, base=3, version=4)),
    Wrong.WRONG_BASE: ([MADE], replace(NEXT, base=1)),
    Wrong.WENT_BACK: ([MADE, replace(LATE_READ, begun=2, ended=3)], replace(FIRST_READ, client=2, begun=3.2, ended=8)),
    Wrong.STALE: ([MADE], replace(FIRST_READ, client=3, begun=5, ended=6)),
    Wrong.UNHEARD_OF: ([MADE], replace(LATE_READ, begun=0, ended=1)),
    Wrong.WRONG_ANSWER: ([MADE], replace(LATE_READ, answer=FIRST_READ.answer)),
    Wrong.NO_CONFLICT: ([MADE], replace(REFUSED, base=2)),
    Wrong.MALFUNCTION: ([MADE], Failed(client=1, town="t", begun=5, ended=6, told="INTERNAL_ERROR")),
}


@pytest.mark.parametrize("wrong", Wrong, ids=lambda wrong: wrong.name.lower())
def test_check__of_one_event_that_cannot_be_true__finds_it_and_nothing_else(wrong: Wrong) -> None:
    others, event = FAULTS[wrong]
    assert [(finding.wrong, finding.event) for finding in check([*others, event], TASKS)] == [(wrong, event)]


def test_check__of_a_read_that_leaves_out_a_line_of_its_account__finds_it() -> None:
    account = FIRST_READ.answer["considered"]
    forged = replace(FIRST_READ, answer={**FIRST_READ.answer, "considered": account[1:]})
    assert [finding.wrong for finding in check([forged], TASKS)] == [Wrong.WRONG_ANSWER]
