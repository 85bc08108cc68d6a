"""`GET /audit/export` that can't be carried out: told before the first byte, with the parameter at fault."""

from pathlib import Path
from typing import Final

import httpx2
import pytest

from tests.client import Api, Json, serving
from tests.contract.inputs import quiet
from tests.contract.test_audit_export import export

NOT_INSTANTS: Final = ("yesterday", "2026-11-23", "2026-11-23T09:30:00", "2026-13-01T00:00:00Z", "1", "\x00", "ü")
BAD_QUERIES: Final = {
    **{f"since {text!r}": ({"since": text}, [["since"]]) for text in NOT_INSTANTS},
    **{f"until {text!r}": ({"until": text}, [["until"]]) for text in NOT_INSTANTS},
    "since after until": ({"since": "2026-01-01T00:00:00.000001Z", "until": "2026-01-01T00:00:00Z"}, [["since"]]),
    "an unknown format": ({"format": "xml"}, [["format"]]),
    "a format in capitals": ({"format": "CSV"}, [["format"]]),
    "an unknown parameter": ({"town": "demo"}, [["town"]]),
    "a parameter in capitals": ({"TOWNID": "demo"}, [["TOWNID"]]),
    "a long parameter": ({"x" * 5_000: ""}, [["x" * 80]]),
    "all at once": ({"format": "xml", "since": "x", "until": "y"}, [["format"], ["since"], ["until"]]),
    "beside an unknown town": ({"townId": "no town", "format": "xml"}, [["townId"], ["format"]]),
}


def problems(response: httpx2.Response) -> list[tuple[str, list[str]]]:
    """Code and path of each error of a refusal, each of which has to say something."""
    assert response.headers["content-type"] == "application/json"
    answer: Json = response.json()
    assert list(answer) == ["errors"]
    assert all(error["message"] for error in answer["errors"])
    return [(error["extensions"]["code"], error["extensions"].get("path", [])) for error in answer["errors"]]


@pytest.mark.parametrize(("parameters", "paths"), BAD_QUERIES.values(), ids=BAD_QUERIES)
def test_export__of_a_bad_query__is_refused_parameter_by_parameter(
    shared_api: Api, parameters: dict[str, str], paths: list[list[str]]
) -> None:
    response = export(shared_api, **parameters)
    found = problems(response)
    assert (response.status_code, [path for _, path in found]) == (400, paths)
    assert {code for code, path in found if path != ["townId"]} == {"INVALID_INPUT"}


@pytest.mark.parametrize("query", ["since=2026-01-01T00:00:00Z&since=2026-01-01T00:00:00Z", "townId=&townId=demo"])
def test_export__of_a_parameter_given_twice__is_refused(shared_api: Api, query: str) -> None:
    response = shared_api.http.get(f"/audit/export?{query}")
    assert (response.status_code, problems(response)) == (400, [("INVALID_INPUT", [query.partition("=")[0]])])


def test_export__since_a_zone_whose_plus_was_not_escaped__is_told_how(shared_api: Api) -> None:
    response = shared_api.http.get("/audit/export?since=2026-01-01T00:00:00+01:00")
    assert problems(response) == [("INVALID_INPUT", ["since"])]
    assert "%2B" in response.json()["errors"][0]["message"]
    assert shared_api.http.get("/audit/export?since=2026-01-01T00:00:00%2B01:00").status_code == 200


@pytest.mark.parametrize("town_id", ["nowhere", "@central", "%", "\x00", "no town", "ü", "x" * 5_000, "' OR 1=1 --"])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_export__of_an_unknown_town__is_not_found(shared_api: Api, town_id: str, form: str) -> None:
    response = export(shared_api, townId=town_id, format=form)
    assert (response.status_code, problems(response)) == (404, [("NOT_FOUND", ["townId"])])


def test_export__by_another_method__is_refused(shared_api: Api) -> None:
    assert shared_api.http.post("/audit/export").status_code == 405


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_export__while_the_database_is_away__is_unavailable(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    url = f"sqlite:///{folder / 'town.db'}" if kind == "sqlite" else "postgresql://nobody@127.0.0.1:1/x"
    with serving(url) as api, quiet():
        folder.rename(tmp_path / "elsewhere")
        response = export(api)
    assert (response.status_code, problems(response)) == (503, [("STORAGE_UNAVAILABLE", [])])
