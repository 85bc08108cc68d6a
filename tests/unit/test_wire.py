"""Answers as they are told."""

from graphql import GraphQLError
from strawberry.types import ExecutionResult

from api.wire import answer_of
from models.domain.tokens import EVERYTHING
from models.services.access import Asker


def test_errors__in_whatever_order_they_came_about__are_told_by_their_places() -> None:
    paths: list[list[str | int]] = [["a"], ["a", 2, "b"], ["a", 10, "b"], ["c"]]
    asker = Asker(request_id="request", grant=EVERYTHING)
    for shift in range(len(paths)):
        moved = paths[shift:] + paths[:shift]
        found = ExecutionResult(data=None, errors=[GraphQLError("odd", path=path) for path in reversed(moved)])
        assert [error["path"] for error in answer_of(found, asker)["errors"]] == paths
