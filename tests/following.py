"""A chain followed to its end, out of nothing but its bytes and hashes."""

from collections.abc import Iterable

from models.domain.verification import ChainBrokenError, ChainCheck, Head, Verification


def verify_chain(
    chain: str, links: Iterable[tuple[bytes, str]], *, expected: Head | None = None, whole: bool = True
) -> Verification:
    """Follow the (canonical bytes, hash) of a chain to its end, or to the first fault."""
    check = ChainCheck(chain, expected=expected, whole=whole)
    fault = None
    try:
        for canonical, stored_hash in links:
            check.follow(canonical, stored_hash)
        check.finish()
    except ChainBrokenError as broken:
        fault = broken.fault
    return Verification(chain=chain, entries=check.entries, head=check.head, fault=fault)
