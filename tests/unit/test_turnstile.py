"""So many requests at once, and of one credential only half of them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from api.turnstile import Turnstile
from api.wire import BadRequestError
from models.domain.tokens import EVERYTHING
from models.services.access import Asker, named_asker

DEVELOPER = named_asker("dev", request_id="request")


def holder(token_id: str) -> Asker:
    return Asker(request_id="request", grant=EVERYTHING, actor_id="act", credential_id=token_id, revocable=True)


@contextmanager
def passed(turnstile: Turnstile, asker: Asker) -> Iterator[None]:
    turnstile.enter(asker.counted_as)
    try:
        yield
    finally:
        turnstile.leave(asker.counted_as)


def is_sent_away(turnstile: Turnstile, asker: Asker) -> bool:
    try:
        with passed(turnstile, asker):
            return False
    except BadRequestError as error:
        return (error.status, error.code) == (503, "BUSY")


def test_turnstile__with_half_its_places_taken_by_one_credential__lets_others_in() -> None:
    turnstile = Turnstile(4)
    with ExitStack() as inside:
        for _ in range(2):
            inside.enter_context(passed(turnstile, holder("one")))
        assert [is_sent_away(turnstile, holder(each)) for each in ("one", "other")] == [True, False]
    assert not is_sent_away(turnstile, holder("one"))


def test_turnstile__with_all_its_places_taken__sends_everyone_away() -> None:
    turnstile = Turnstile(4)
    with ExitStack() as inside:
        for each in ("one", "one", "other", "other"):
            inside.enter_context(passed(turnstile, holder(each)))
        assert is_sent_away(turnstile, holder("third"))
        assert is_sent_away(turnstile, DEVELOPER)
    assert not is_sent_away(turnstile, DEVELOPER)


def test_turnstile__of_a_developer__has_all_its_places() -> None:
    turnstile = Turnstile(2)
    with passed(turnstile, DEVELOPER):
        assert not is_sent_away(turnstile, DEVELOPER)
