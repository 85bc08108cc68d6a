"""Documents that are asked for by their SHA-256, as the extension `persistedQuery` has it; and those that are trusted.

Trusted are the settings pages' own, and those of a file that the settings name. Where none but trusted ones are taken,
nobody can have the server work on a document that its owner has not seen. Where any are, those that were found to be
valid lately can be asked for by their hash as well (automatic persisted queries): a client that hears that one is not
known sends it once, with its hash.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from api.manifests import digest_of
from api.schema.documents import DocumentCache
from api.wire import BadRequestError

_HEX: Final = frozenset("0123456789abcdef")
_DIGITS: Final = 64
_VERSION: Final = 1


class Texts:
    """What documents requests mean. `trusted` are their texts; with `only` no others are taken."""

    def __init__(self, known: DocumentCache, trusted: Iterable[str] = (), *, only: bool = False) -> None:
        self._known = known
        self._trusted = {digest_of(text): text for text in trusted}
        self._only = frozenset(self._trusted.values()) if only else None

    def meant(self, query: str | None, extensions: Mapping[str, Any] | None) -> str:
        """The text of the document that a request means. Raises `BadRequestError`."""
        if extensions and "persistedQuery" in extensions:
            query = self._persisted(query, extensions["persistedQuery"])
        if query is None or not query.strip():
            raise BadRequestError("query must be a string that holds a GraphQL document.")
        if self._only is not None and query not in self._only:
            message = "This server takes trusted documents only: have it added to TOWNCLERK_TRUSTED_DOCUMENTS."
            raise BadRequestError(message, status=403, code="PERSISTED_QUERY_ONLY")
        return query

    def _persisted(self, query: str | None, persisted: object) -> str:
        """The text with a hash, which has to be its hash. Raises `BadRequestError`."""
        found = persisted if isinstance(persisted, dict) else {}
        digest = found.get("sha256Hash")
        if found.get("version") != _VERSION or not _is_digest(digest):
            message = "extensions.persistedQuery must have version 1 and sha256Hash, 64 hexadecimal digits."
            raise BadRequestError(message)
        digest = str(digest).lower()
        if query is not None:
            if digest_of(query) != digest:
                raise BadRequestError("extensions.persistedQuery.sha256Hash is not the SHA-256 of query.")
            return query
        text = self._trusted.get(digest) or (None if self._only is not None else self._known.text_of(digest))
        if text is None:
            # word for word what clients look for, which then send the document as well
            raise BadRequestError("PersistedQueryNotFound", status=404, code="PERSISTED_QUERY_NOT_FOUND")
        return text


def _is_digest(digest: object) -> bool:
    return isinstance(digest, str) and len(digest) == _DIGITS and _HEX.issuperset(digest.lower())
