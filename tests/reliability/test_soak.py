"""What `make soak` writes into the page."""

from tests.reliability.soak import BEGIN, END, PAGE, table


def test_table__of_reports__has_a_row_for_each_with_its_counts() -> None:
    reports = [
        {"proof": "One winner", "backend": "sqlite", "counts": {"rounds": 1_000, "lost": 0}},
        {"proof": "One winner", "backend": "postgresql", "counts": {"rounds": 2}},
    ]
    assert table(reports) == [
        "| proof | database | counts |",
        "| --- | --- | --- |",
        "| One winner | SQLite | 1,000 rounds, 0 lost |",
        "| One winner | PostgreSQL | 2 rounds |",
    ]


def test_page__has_one_place_for_what_a_run_writes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert (page.count(BEGIN), page.count(END)) == (1, 1)
    assert page.index(BEGIN) < page.index(END)
