"""The table of permissions is read strictly: what the tests have no meaning for fails, rather than being left out."""

import pytest

from tests.permissions import FORBIDDEN, ROWS, YES, TableError, read_table

HEADER = "| operation | reader | dispatcher | editor | auditor | admin | of another's town |"
RULE = "| --- | --- | --- | --- | --- | --- | --- |"
TOWN = "| `Query.town` | yes | - | all | yes | yes | null |"


def table(*rows: str) -> str:
    return "\n".join(("Some text.", "", *rows, "", "More text."))


def test_row__as_the_table_has_it__is_read() -> None:
    (row,) = read_table(table(HEADER, RULE, TOWN))
    assert (str(row), row.scopes, row.foreign) == ("Query.town", ("reader", "editor", "auditor", "admin"), "null")


def test_row__by_kind_of_credential_and_town__has_an_answer_for_each() -> None:
    (row,) = read_table(table(HEADER, RULE, TOWN))
    asked = [("reader", False), ("reader", True), ("dispatcher", False), ("editor", False), ("editor", True)]
    own = [row.answer([scope], bound=bound) for scope, bound in asked]
    foreign = [row.answer([scope], bound=bound, foreign=True) for scope, bound in asked]
    assert own == [YES, YES, FORBIDDEN, YES, FORBIDDEN]
    assert foreign == [YES, "null", FORBIDDEN, YES, FORBIDDEN]


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (HEADER, RULE),
        (RULE, TOWN, TOWN),
        (HEADER, TOWN, TOWN),
        (HEADER.replace("reader", "owner"), RULE, TOWN),
        (HEADER.replace("| reader ", ""), RULE, TOWN),
        (HEADER, RULE, TOWN, TOWN),
        (HEADER, RULE, TOWN, "", HEADER, RULE, TOWN.replace("town", "bead")),
        (HEADER, RULE, TOWN.replace("yes", "Yes", 1)),
        (HEADER, RULE, TOWN.replace("yes", "", 1)),
        (HEADER, RULE, TOWN.replace("null", "nothing")),
        (HEADER, RULE, TOWN.replace("| - ", "")),
        (HEADER, RULE, TOWN.replace("`", "")),
        (HEADER, RULE, TOWN.replace("Query.town", "Query.town`, `Query.bead")),
        (HEADER, RULE, TOWN.replace("`Query.town`", "`Query.town` (of one's own)")),
        (HEADER, RULE, TOWN.removesuffix(" |")),
    ],
)
def test_table__that_says_what_is_not_understood__fails(rows: tuple[str, ...]) -> None:
    with pytest.raises(TableError):
        read_table(table(*rows))


def test_table__of_the_documentation__is_read() -> None:
    assert len(ROWS) > 50
