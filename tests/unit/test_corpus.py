"""Every decision of the corpus, asked of the core; and the corpus itself."""

import pytest

from models.domain.profiles import SHIPPED_MODELS, SHIPPED_PROFILES, is_own
from models.domain.resolution import compile_table, resolve
from tests.cases.generate import MATRIX, compact, matrix, readable
from tests.corpus import answer_of, cases_by_id, files, load, override_set, task_of
from tests.reference import Case, ProfileJson, answer

CASES = cases_by_id()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_core__case_of_the_corpus__gives_the_expected_answer(case: Case) -> None:
    resolution = resolve(compile_table(override_set(case)), task_of(case))
    assert answer_of(resolution) == case["expected"]


def test_reference__all_of_the_corpus__gives_the_expected_answers() -> None:
    assert [name for name, case in CASES.items() if answer(case) != case["expected"]] == []


def test_matrix__as_committed__is_what_the_script_writes() -> None:
    assert MATRIX.read_text(encoding="utf-8") == compact(matrix())


def test_files_written_by_hand__as_committed__are_laid_out_by_the_script() -> None:
    by_hand = [path for path in files() if path != MATRIX]
    assert [path.name for path in by_hand if path.read_text(encoding="utf-8") != readable(load(path))] == []


def test_case__in_its_file__has_a_name_of_its_own() -> None:
    assert len(CASES) == sum(len(load(path)) for path in files())


def test_shipped_profiles__in_the_corpus__are_all_asked_about() -> None:
    asked = {case["profile"] for case in CASES.values() if isinstance(case["profile"], str)}
    assert asked == {shipped.table.name for shipped in SHIPPED_PROFILES}


def test_profiles_of_the_corpus__not_shipped__are_a_towns_own() -> None:
    assert [profile["name"] for profile in _own_profiles() if not is_own(profile["name"])] == []


def test_rules_of_the_corpus__any__ask_for_seeded_models() -> None:
    overrides = {rule["model"] for case in CASES.values() for rule in case["overrides"]}
    profiles = {rule["model"] for profile in _own_profiles() for rule in profile["rules"]}
    small = {profile["smallModel"] for profile in _own_profiles()}
    assert overrides | profiles | small <= SHIPPED_MODELS.keys()


def test_rigs_of_the_corpus__any__are_web_or_api() -> None:
    in_rules = {rule["rigId"] for case in CASES.values() for rule in case["overrides"]}
    in_tasks = {case["task"]["rigId"] for case in CASES.values() if case["task"] is not None}
    assert in_rules | in_tasks == {"web", "api", None}


def _own_profiles() -> list[ProfileJson]:
    return [case["profile"] for case in CASES.values() if not isinstance(case["profile"], str)]
