"""A history with an entry of every kind, for tests that tamper with it."""

from datetime import UTC, datetime
from typing import Final

from models.domain.tokens import Grant, Scope
from models.services.access import COMMAND_LINE, built_in
from models.services.tokens import TokenDraft, create_token, revoke_token
from models.store.unit import Store
from tests.chains import with_store
from tests.client import Api
from tests.contract.recipes import profile_input
from tests.towns import HAIKU, KILO, OPUS, SONNET, publish, rule, sync

TOWN: Final = "verified"
IMPORTED: Final = "verified-import"
LATER: Final = datetime(2100, 1, 1, tzinfo=UTC)
LAST: Final = 14  # the last sequence of the town's chain


def tell(api: Api) -> None:
    api.done("publishProfileVersion", **profile_input("tidy", 0))
    api.done("createTown", townId=TOWN, name="Verified", profile="tidy")  # 1
    api.done("registerRig", townId=TOWN, rigId="web", name="Web")  # 2
    api.done("registerRig", townId=TOWN, rigId="api", name="API")  # 3
    sync(api, TOWN, {"beadId": "v-1", "rigId": "web", "labels": ["gt:rework"]}, {"beadId": "v-2"})  # 4
    publish(api, TOWN, overrides=[rule(KILO, "MAYOR"), rule(HAIKU, "POLECAT", rig="web")])  # 5
    observe(api, OPUS)  # 6
    sync(api, TOWN, {"beadId": "v-1", "role": "REFINERY", "model": KILO})  # 7
    sync(api, TOWN, {"beadId": "v-2", "title": "Another title"})  # 8
    api.done("publishProfileVersion", **profile_input("tidy", 1, mayor=SONNET))  # 9
    stale = {"override": rule(KILO, "MAYOR"), "expectedVersion": 3, "reason": "Still wanted."}
    api.done("setOverride", townId=TOWN, **stale)  # 10
    api.done("selectProfile", townId=TOWN, expectedVersion=4, profile="frugal", reason="Cheaper.")  # 11
    api.done("removeRig", townId=TOWN, rigId="api")  # 12
    api.done("revertOverrideSet", townId=TOWN, expectedVersion=5, toVersion=2, reason="Dearer.")  # 13
    observe(api, KILO)  # 14
    config = {"default_model": "host/model", "role_models": {"mayor": OPUS}}
    rigs = [{"rigId": "lab", "name": "Lab", "config": {"default_model": HAIKU}}]
    api.done("importTown", townId=IMPORTED, name="Imported", config=config, rigs=rigs)
    api.done("publishProfileVersion", **profile_input("custom", 1, townId=IMPORTED))
    deprecation = {"modelId": "host/model", "replacedBy": SONNET, "reason": "Gone."}
    api.done("deprecateModel", **deprecation)
    with_store(api.url, make_tokens)


async def make_tokens(store: Store) -> None:
    """One that lasts and one that was revoked."""
    caller = built_in(COMMAND_LINE, request_id="tokens")
    bound = Grant(scopes=frozenset({Scope.EDITOR, Scope.READER}), towns=frozenset({TOWN}), may_act_for=True)
    await create_token(store, caller, TokenDraft(name="The frontend", grant=bound, expires_at=LATER))
    everywhere = TokenDraft(name="The dispatcher", grant=Grant(scopes=frozenset({Scope.DISPATCHER})))
    revoked = await create_token(store, caller, everywhere)
    await revoke_token(store, caller, revoked.token_id, reason="Lost.")


def observe(api: Api, model: str) -> None:
    api.done("detectMayorChange", townId=TOWN, observed={"model": model, "smallModel": HAIKU})
