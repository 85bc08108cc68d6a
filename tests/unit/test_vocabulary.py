import pytest

from models.domain.vocabulary import (
    LABELS,
    PRECEDENCE,
    BeadStatus,
    BeadType,
    Role,
    effective_role,
    is_id,
    is_model_id,
    is_profile_name,
    is_storable,
    known_labels,
)
from tests import reference


def test_label_catalogue__order__is_the_precedence() -> None:
    assert tuple(label.name for label in LABELS) == reference.LABELS
    assert [PRECEDENCE[label.name] for label in LABELS] == list(range(len(LABELS)))


def test_label_catalogue__every_label__is_described() -> None:
    assert all(label.description for label in LABELS)


@pytest.mark.parametrize("text", ["a", "7", "rig-1", "A.b_c:d-e", "x" * 128])
def test_id__well_formed__is_taken(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", ["", "-a", ".a", "_a", ":a", "a b", "a/b", "a|b", "a@b", "ä", "a\n", "x" * 129])
def test_id__malformed__is_not_taken(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "anthropic/claude-sonnet-4.6",
        "kilo/kilo-auto/frontier",
        "qwen/qwen3-coder:free",
        "claude-opus-4.7",
        "@cf/meta/llama-4",
        "~local+draft",
        "a@b",
        "m" * 200,
    ],
)
def test_model_id__well_formed__is_taken(text: str) -> None:
    assert is_model_id(text)


@pytest.mark.parametrize("text", ["", " ", "/a", "-a", ":a", "+a", "a b", "a|b", "a,b", " a", "a\n", "é", "m" * 201])
def test_model_id__malformed__is_not_taken(text: str) -> None:
    assert not is_model_id(text)


@pytest.mark.parametrize("text", ["frugal", "custom", "custom-2", "a.b_c:d", "p" * 64])
def test_profile_name__well_formed__is_taken(text: str) -> None:
    assert is_profile_name(text)


@pytest.mark.parametrize("text", ["", "Frugal", "1st", "-a", "a b", "a\n", "p" * 65])
def test_profile_name__malformed__is_not_taken(text: str) -> None:
    assert not is_profile_name(text)


@pytest.mark.parametrize("text", ["", "plain", "ünïcödé", "\U0001f600", "tab\t and line\n"])
def test_text__in_both_databases__is_storable(text: str) -> None:
    assert is_storable(text)


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "a\udfff"])
def test_text__with_nul_or_lone_surrogate__is_not_storable(text: str) -> None:
    assert not is_storable(text)


@pytest.mark.parametrize(
    ("labels", "known"),
    [
        ([], ()),
        (["gt:held", "gt:triage"], ("gt:triage", "gt:held")),
        (["gt:rework", "gt:rework"], ("gt:rework",)),
        (["gt:triage-request", "gt:triagex", "triage", "GT:TRIAGE"], ()),
        (["urgent", "gt:message"], ("gt:message",)),
    ],
)
def test_known_labels__of_any_labels__are_the_catalogues_in_order(labels: list[str], known: tuple[str, ...]) -> None:
    assert known_labels(labels) == known


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("bead_type", [*BeadType, None])
def test_effective_role__own_role_set__is_the_own_role(role: Role, bead_type: BeadType | None) -> None:
    assert effective_role(role, bead_type) is role


@pytest.mark.parametrize("bead_type", [*BeadType, None])
def test_effective_role__no_role__follows_from_the_type(bead_type: BeadType | None) -> None:
    expected = Role.REFINERY if bead_type is BeadType.MERGE_REQUEST else Role.POLECAT
    assert effective_role(None, bead_type) is expected


def test_bead_status__still_to_be_dispatched__is_active() -> None:
    assert {status for status in BeadStatus if status.active} == {
        BeadStatus.OPEN,
        BeadStatus.IN_PROGRESS,
        BeadStatus.IN_REVIEW,
    }
