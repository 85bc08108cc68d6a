"""Files of documents that are trusted, each by the SHA-256 of its text."""

import hashlib
import json
from pathlib import Path
from typing import Final

_OF_PAGES: Final = Path(__file__).parent / "static" / "documents.json"


def digest_of(text: str) -> str:
    """Hex SHA-256 of a document's UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def trusted_texts(file: Path | None) -> list[str]:
    """The settings pages' documents and those of a file. Raises `ValueError` where that can't be read.

    It holds a JSON object of the documents by their hashes, as GraphQL Code Generator writes it, or the `operations` of
    an Apollo manifest.
    """
    texts = _read(_OF_PAGES) if _OF_PAGES.exists() else []
    return texts if file is None else texts + _read(file)


def _read(file: Path) -> list[str]:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        named = {each["id"]: each["body"] for each in held["operations"]} if "operations" in held else held
        for digest, text in named.items():
            if digest_of(text) != digest:
                raise ValueError(f"{digest!r} is not the SHA-256 of its document in {file}")
    except (OSError, UnicodeDecodeError, KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{file} holds no JSON object of documents by their SHA-256") from error
    return list(named.values())
