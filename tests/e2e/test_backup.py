"""`townclerk backup`: a copy taken while others write is whole, and verifies against what was known before."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from models.domain.audit import CENTRAL_CHAIN
from models.domain.verification import Head
from models.services.verification import verify_all
from models.store.engine import open_database
from models.store.unit import Store
from tests.client import Api, Json, serving
from tests.databases import Databases
from tests.e2e.process import townclerk
from tests.towns import make_town, publish, rule

MODELS = ("anthropic/claude-opus-4.7", "anthropic/claude-haiku-4.5")


@pytest.fixture
def url(databases: Databases) -> str:
    return databases.fresh("sqlite")


@contextmanager
def writing(api: Api, town_id: str) -> Iterator[list[int]]:
    """Publishes that go on; gives the versions acknowledged so far."""
    versions, done = [1], threading.Event()

    def write() -> None:
        while not done.is_set():
            model = MODELS[len(versions) % 2]
            versions.append(publish(api, town_id, overrides=[rule(model, "MAYOR")])["currentVersion"])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield versions
    finally:
        done.set()
        thread.join()


def head(api: Api, town_id: str | None) -> Head:
    newest: Json = api.entries(town_id, "sequence hash")[0]
    return Head(sequence=newest["sequence"], hash=newest["hash"])


def verified(url: str, expected: Head) -> dict[str, bool]:
    """Whether each chain of a database holds, the central one up to a head that was noted before."""

    async def run() -> dict[str, bool]:
        store = Store(database=open_database(url))
        try:
            return {each.chain: each.ok async for each in verify_all(store, expected=expected)}
        finally:
            await store.dispose()

    return asyncio.run(run())


def test_backup__while_writers_write__restores_and_holds_the_head_noted_before(url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with serving(url) as api:
        town_id = make_town(api)
        central = head(api, None)
        with writing(api, town_id) as versions:
            while len(versions) < 5:
                pass
            noted, acknowledged = head(api, town_id), versions[-1]
            done = townclerk(url, "backup", str(copy))
            assert (done.code, done.err) == (0, "")
        assert versions[-1] > acknowledged, "the writer went on"
    assert done.out == f"{copy}: 2 chains; central head {central.sequence}:{central.hash}\n"
    assert list(tmp_path.iterdir()) == [copy]
    restored = f"sqlite:///{copy}"
    assert verified(restored, central) == {CENTRAL_CHAIN: True, town_id: True}
    expected = f"{noted.sequence}:{noted.hash}"
    assert townclerk(restored, "audit", "verify", "--town", town_id, "--expect-head", expected).code == 0
    with serving(restored) as api:
        assert api.version(town_id) >= acknowledged
        publish(api, town_id, honorBeadModels=True)


def test_backup__onto_a_file_that_exists__replaces_it_only_when_told_to(url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_text("mine")
    assert townclerk(url, "backup", str(copy)).code == 2
    assert copy.read_text() == "mine"
    assert townclerk(url, "backup", "--force", str(copy)).code == 0
    assert copy.read_bytes().startswith(b"SQLite format 3")
    assert copy.stat().st_mode & 0o077 == 0, "for its owner alone"


def test_backup__onto_a_copy_that_somebody_served_from__is_refused(url: str, tmp_path: Path) -> None:
    """What such a server left beside the copy would be played into the new one by whoever opens it."""
    (tmp_path / "town.db").write_bytes(b"")
    (tmp_path / "town.db-wal").write_bytes(b"left behind")
    done = townclerk(url, "backup", str(tmp_path / "town.db"), "--force")
    assert done.code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["town.db", "town.db-wal"]


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_backup__onto_a_file_of_the_database_itself__is_refused(url: str, tmp_path: Path, suffix: str) -> None:
    file = Path((make_url(url).database or "") + suffix)
    (tmp_path / "elsewhere").symlink_to(file)
    for name in (file, tmp_path / "elsewhere"):
        was = file.read_bytes() if file.exists() else None
        done = townclerk(url, "backup", "--force", str(name))
        assert (done.code, done.out) == (2, "")
        assert (file.read_bytes() if file.exists() else None) == was


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0 but not really", None], ids=["empty", "broken", "none"])
def test_backup__of_what_is_no_database__leaves_nothing_behind(tmp_path: Path, content: bytes | None) -> None:
    source, folder = tmp_path / "source.db", tmp_path / "copies"
    folder.mkdir()
    if content is not None:
        source.write_bytes(content)
    done = townclerk(f"sqlite:///{source}", "backup", str(folder / "copy.db"))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert list(folder.iterdir()) == []
    assert source.exists() == (content is not None)


def test_backup__of_postgresql__points_to_the_documentation() -> None:
    done = townclerk("postgresql://nobody@127.0.0.1:9/none", "backup", "copy.db")
    assert done.code == 2
    assert "docs/backup.md" in done.err
    assert (Path(__file__).parents[2] / "docs" / "backup.md").is_file()
