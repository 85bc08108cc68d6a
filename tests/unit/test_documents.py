"""Documents are kept as long as there is room, whoever sends how many."""

from graphql import parse

from api.schema.documents import DocumentCache

SHORT = "{ a }"
DOCUMENT = parse(SHORT)


def test_cache__over_its_room__lets_those_go_that_were_not_used_for_longest() -> None:
    cache = DocumentCache(room=3 * len(SHORT))
    texts = [SHORT.replace("a", name) for name in "abcd"]
    for text in texts[:3]:
        cache.keep(text, DOCUMENT, [])
    assert cache.find(texts[0]) is not None
    cache.keep(texts[3], DOCUMENT, [])
    assert [text for text in texts if cache.find(text) is not None] == [texts[0], texts[2], texts[3]]


def test_cache__of_a_document_longer_than_its_room__keeps_what_it_has() -> None:
    cache = DocumentCache(room=100)
    cache.keep(SHORT, DOCUMENT, [])
    cache.keep(SHORT.ljust(101), DOCUMENT, [])
    assert cache.find(SHORT) is not None
    assert cache.find(SHORT.ljust(101)) is None


def test_cache__of_a_document_that_was_compiled__has_less_room_for_others() -> None:
    cache = DocumentCache(room=10 * len(SHORT))
    texts = [SHORT.replace("a", name) for name in "abcde"]
    for text in texts:
        cache.keep(text, DOCUMENT, [])
    cache.charge(texts[4], fields=4 * len(SHORT))
    assert [text for text in texts if cache.find(text) is not None] == texts[3:]
    cache.charge("{ never { kept } }", fields=100)
    assert cache.find(texts[4]) is not None


def test_cache__of_many_documents__holds_no_more_than_its_room() -> None:
    cache = DocumentCache(room=1000)
    texts = [f"{{ field{number} }}".ljust(90) for number in range(200)]
    for text in texts:
        cache.keep(text, DOCUMENT, [])
    kept = [text for text in texts if cache.find(text) is not None]
    assert kept == texts[-11:]
