"""Clients that read and publish in a few towns as fast as they are answered, and log what they hear."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Event
from typing import Any, Final

from tests.client import Api, Json
from tests.reference import Answer, RuleJson, TaskJson
from tests.reliability.checker import Conflicted, Failed, Published, Read, Setting
from tests.reliability.checker import Event as Heard
from tests.reliability.wire import STORAGE_UNAVAILABLE, Client, Hall, NoAnswerError, error_code
from tests.sizes import SECONDS
from tests.towns import make_town, sync

REASON: Final = "Under load."
MODELS: Final = [f"load/model-{number}" for number in range(60)]
LABELS: Final = ("gt:rework", "gt:pr-fixup", "gt:triage")
RIGS: Final = ("web", "api")


def _task(
    role: str | None = None, *labels: str, rig: str | None = None, model: str | None = None, kind: str = "ISSUE"
) -> TaskJson:
    return {"role": role, "type": kind, "labels": list(labels), "rigId": rig, "model": model}


TASKS: Final = {
    "mayor": _task("MAYOR", rig="web", model=MODELS[0]),
    "plain": _task(),
    "labelled": _task("POLECAT", "gt:pr-fixup", "gt:rework", rig="web"),
    "review": _task(rig="api", kind="MERGE_REQUEST"),
    "own": _task("POLECAT", "gt:triage", rig="api", model=MODELS[1]),
}

_READ: Final = """query ($id: ID!) { resolution(beadId: $id) {
    overrideSetVersion role model smallModel because fingerprint
    matchedRule { source key title role label rigId model specificity }
    considered { source key title model outcome }
} }"""
PUBLISH: Final = """mutation ($input: PublishOverrideSetInput!) { it: publishOverrideSet(input: $input) {
    currentVersion overrideSet { version contentHash createdAt } userErrors { code }
} }"""
_PAUSE: Final = 0.02  # seconds before a request is tried again


def prepare(api: Api, count: int) -> list[str]:
    """Make towns that have a bead for each of `TASKS`; gives their ids."""
    query = "mutation ($models: [ModelInput!]!) { registerModels(models: $models) { userErrors { code } } }"
    assert api.data(query, models=[{"modelId": model} for model in MODELS])["registerModels"] == {"userErrors": []}
    towns = [make_town(api, rigs=RIGS) for _ in range(count)]
    for town in towns:
        sync(api, town, *({"beadId": f"{town}-{name}", **task} for name, task in TASKS.items()))
    return towns


def draft_of(setting: Setting) -> Json:
    return {"honorBeadModels": setting.honor_bead_models, "overrides": list(setting.overrides)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of a request in the end, and how often it was sent until it was answered."""

    answer: Json
    attempts: int


def insist(client: Client, hall: Hall, number: int, variables: Json, request_id: str) -> Reply:
    """Send a publish again and again, to one server after the other, until one answers and has its database."""
    deadline = time.monotonic() + SECONDS
    attempts = 0
    while True:
        attempts += 1
        try:
            answer = client.ask((number + attempts) % len(hall), PUBLISH, variables, f"{request_id}.{attempts}")
            if error_code(answer) != STORAGE_UNAVAILABLE:
                return Reply(answer=answer, attempts=attempts)
        except NoAnswerError:
            pass
        assert time.monotonic() < deadline, "nobody answers"
        time.sleep(_PAUSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A publish that was acknowledged; `request_id` without the number of the attempt."""

    town: str
    version: int
    content_hash: str
    request_id: str
    attempts: int


@dataclass(kw_only=True)
class Load:
    """What the clients of `hall` do to `towns`. Where they are `patient` they put up with servers that are away."""

    hall: Hall
    towns: Sequence[str]
    patient: bool = False
    history: list[Heard] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    _begun: int = 0
    _more: Condition = field(default_factory=Condition)
    _stop: Event = field(default_factory=Event)

    @contextmanager
    def running(self, clients: int) -> Iterator[None]:
        """Clients at work, who end with the block; whatever one of them fails with is raised then."""
        with ThreadPoolExecutor(clients) as pool:
            try:
                working = [pool.submit(self._work, number) for number in range(clients)]
                yield
            finally:
                self._stop.set()
            for each in working:
                each.result()

    def until_begun(self, count: int) -> None:
        """Wait until that many more publishes have begun, or a client has failed."""
        self._until_more(count, lambda: self._begun)

    def until_heard(self, count: int) -> None:
        """Wait until the clients have heard that many more answers, or one has failed."""
        self._until_more(count, lambda: len(self.history))

    def begin(self) -> None:
        with self._more:
            self._begun += 1
            self._more.notify_all()

    def hear(self, event: Heard) -> None:
        with self._more:
            self.history.append(event)
            self._more.notify_all()

    def _until_more(self, count: int, counted: Callable[[], int]) -> None:
        def is_past(now: int) -> bool:
            return counted() > now or self._stop.is_set()

        with self._more:
            wanted = counted() + count
            while (now := counted()) < wanted and not self._stop.is_set():
                assert self._more.wait_for(partial(is_past, now), SECONDS), "the clients are at a stand"

    def _work(self, number: int) -> None:
        worker = _Worker(load=self, number=number, random=random.Random(number))
        with ExitStack() as stack:
            stack.callback(worker.client.close)
            stack.callback(self._stop.set)  # one who fails ends it for all
            while not self._stop.is_set():
                worker.step()


class _Worker:
    """One client: it reads, and mostly publishes on what it has read."""

    def __init__(self, *, load: Load, number: int, random: random.Random) -> None:
        self.client = Client(load.hall, f"client-{number}")
        self._load = load
        self._number = number
        self._random = random
        self._publishes = 0

    def step(self) -> None:
        town, asked = self._random.choice(self._load.towns), self._random.randrange(len(self._load.hall))
        version = self._read(asked, town)
        if version is not None and self._random.random() < 0.7:
            self._publish(self._random.randrange(len(self._load.hall)), town, version)

    def _read(self, asked: int, town: str) -> int | None:
        """The version that a task of the town is resolved at; None where no answer is to be had."""
        task = self._random.choice(sorted(TASKS))
        begun = time.monotonic()
        try:
            answer = self.client.ask(asked, _READ, {"id": f"{town}-{task}"})
        except NoAnswerError:
            self._without_answer("no answer", town, begun)
            return None
        if code := error_code(answer):
            self._without_answer(code, town, begun)
            return None
        resolution: Any = answer["data"]["resolution"]
        version: int = resolution.pop("overrideSetVersion")
        read: Answer = resolution
        self._load.hear(Read(**self._span(town, begun), version=version, task=task, answer=read))
        return version

    def _publish(self, asked: int, town: str, base: int) -> None:
        setting = self._setting()
        self._publishes += 1
        request_id = f"{town}:{self._number}:{self._publishes}"
        key = request_id if self._load.patient else None  # who has none is not held up by another's claim of it
        variables = publication(town, base, draft_of(setting), key)
        begun = time.monotonic()
        self._load.begin()
        if self._load.patient:
            reply = insist(self.client, self._load.hall, asked, variables, request_id)
        else:
            reply = Reply(answer=self.client.ask(asked, PUBLISH, variables, f"{request_id}.1"), attempts=1)
        span = self._span(town, begun)
        if code := error_code(reply.answer):
            self._load.hear(Failed(**span, told=code))
            return
        payload = reply.answer["data"]["it"]
        match [error["code"] for error in payload["userErrors"]]:
            case []:
                made = payload["overrideSet"]
                self._load.hear(Published(**span, base=base, version=made["version"], setting=setting))
                self._load.acknowledged.append(
                    Acknowledged(
                        town=town,
                        version=made["version"],
                        content_hash=made["contentHash"],
                        request_id=request_id,
                        attempts=reply.attempts,
                    )
                )
                if reply.attempts > 1:
                    self._ask_again(variables, request_id, payload, span)
            case ["VERSION_CONFLICT"]:
                self._load.hear(Conflicted(**span, base=base, version=payload["currentVersion"]))
            case codes:
                self._load.hear(Failed(**span, told=", ".join(codes)))

    def _ask_again(self, variables: Json, request_id: str, payload: Json, span: Mapping[str, Any]) -> None:
        """What was answered late has to be answered the same when it is asked once more."""
        again = insist(self.client, self._load.hall, 0, variables, f"{request_id}.again").answer
        if again.get("data", {}).get("it", {}).get("overrideSet") != payload["overrideSet"]:
            self._load.hear(Failed(**span, told="another answer to the same key"))

    def _without_answer(self, told: str, town: str, begun: float) -> None:
        if not (self._load.patient and told in {STORAGE_UNAVAILABLE, "no answer"}):
            self._load.hear(Failed(**self._span(town, begun), told=told))
        time.sleep(_PAUSE)

    def _span(self, town: str, begun: float) -> Mapping[str, Any]:
        return {"client": self._number, "town": town, "begun": begun, "ended": time.monotonic()}

    def _setting(self) -> Setting:
        """Some overrides, two of which hold a number that hardly ever was that of the version in force."""
        pick, number = self._random.choice, self._publishes * 16 + self._number
        models: dict[tuple[str | None, str | None, str | None], str] = {
            (pick(("POLECAT", "REFINERY")), pick((*LABELS, None)), pick((*RIGS, None))): pick(MODELS)
            for _ in range(self._random.randrange(4))
        }
        models |= {(pick(("MAYOR", None)), None, None): pick(MODELS) for _ in range(self._random.randrange(2))}
        models["REFINERY", None, None] = MODELS[number % len(MODELS)]
        models["POLECAT", "gt:triage", "api"] = MODELS[number // len(MODELS) % len(MODELS)]
        rules: list[RuleJson] = [
            {"role": role, "label": label, "rigId": rig, "model": model} for (role, label, rig), model in models.items()
        ]
        return Setting(honor_bead_models=pick((True, False)), overrides=tuple(rules))


def publication(town: str, base: int, draft: Json, key: str | None = None) -> Json:
    given = {"townId": town, "expectedVersion": base, "reason": REASON, "draft": draft, "idempotencyKey": key}
    return {"input": given}
