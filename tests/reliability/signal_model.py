"""When a mayor must restart, a second time: from the rules in prose alone, and nothing shared with the service.

It takes what was asked of a town, in the order in which it took effect, and says which restart signals there are.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

LAST_RESORT: Final = "anthropic/claude-sonnet-4.6"


class Pair(NamedTuple):
    """A model and the small model beside it."""

    model: str
    small_model: str


class Profile(NamedTuple):
    """A version of a profile, as far as a mayor is concerned: what it says for `mayor` and for `*`, if anything."""

    mayor: str | None
    anyone: str | None
    small_model: str


class Overrides(NamedTuple):
    """What a town says over its profile, if anything. `other` is a rule that no mayor is concerned with."""

    mayor: str | None = None
    anyone: str | None = None
    other: str | None = None


@dataclass(kw_only=True)
class Signal:
    sequence: int
    before: Pair
    after: Pair
    cause: str
    version: int
    closed: str | None = None


@dataclass(kw_only=True)
class Town:
    """A town, and what its host last said its mayor runs on. `versions` are profile names and overrides."""

    profiles: dict[str, Profile]
    versions: list[tuple[str, Overrides]]
    observed: Pair | None = None
    signals: list[Signal] = field(default_factory=list)

    @property
    def version(self) -> int:
        return len(self.versions)

    @property
    def desired(self) -> Pair:
        name, overrides = self.versions[-1]
        profile = self.profiles[name]
        mayor, anyone = overrides.mayor or profile.mayor, overrides.anyone or profile.anyone
        return Pair(mayor or anyone or LAST_RESORT, profile.small_model)

    @property
    def open(self) -> Signal | None:
        """The open signal: the last one, unless it was closed."""
        return self.signals[-1] if self.signals and self.signals[-1].closed is None else None

    def publish(self, profile: str, overrides: Overrides) -> None:
        """The next version, by whatever mutation."""
        before = self.desired
        self.versions.append((profile, overrides))
        self._moved(before)

    def publish_profile(self, name: str, profile: Profile) -> None:
        """The next version of a profile, which the town gets if it follows the profile."""
        before = self.desired
        self.profiles[name] = profile
        if self.versions[-1][0] == name:
            self.versions.append(self.versions[-1])
            self._moved(before)

    def report(self, observed: Pair) -> None:
        """What the host says the mayor runs on."""
        if observed == self.observed:
            return
        self.observed = observed
        if observed == self.desired:
            self._close("OBSERVED")
        elif self.open is None:
            self._raise(observed, "OBSERVED_DRIFT")

    def _moved(self, before: Pair) -> None:
        if self.desired == before:
            return
        if self.desired == self.observed:
            self._close("CANCELLED")
        else:
            self._close("SUPERSEDED")
            self._raise(self.observed or before, "CONFIG_CHANGED")

    def _close(self, because: str) -> None:
        if self.open is not None:
            self.open.closed = because

    def _raise(self, before: Pair, cause: str) -> None:
        self.signals.append(
            Signal(
                sequence=len(self.signals) + 1,
                before=before,
                after=self.desired,
                cause=cause,
                version=self.version,
            )
        )
