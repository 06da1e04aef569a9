"""The record of a rollout in an object store: its state, whose turn it is, and every decision.

    canary/NAME/state.json                        the state and the lease
    canary/NAME/ID/decision-0001.json …           each verdict with all that it was made of

Whose turn it is stands in the same document as the state, and every write is conditional on the version that
was read. So a writer that slept through its lease finds out at its next write, whatever the clocks say.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from marquee.adapters.object_store import ObjectStore
from marquee.errors import ConflictError, MarqueeError, ObjectMissingError
from marquee.monitoring.canary_state import CanaryState, DecisionRecord

_STAMP: Final = "%Y%m%dT%H%M%SZ"


class CanaryError(MarqueeError):
    """A rollout that is not there, is over, or whose record can't be read."""


class CanaryBusyError(CanaryError):
    """Another process has its turn; it may be tried again."""

    exit_code = 3


class CanaryDocument(BaseModel):
    """state.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    state: CanaryState
    holder: str = ""
    """Who has the turn, empty for nobody."""
    held_until: AwareDatetime | None = None
    """When others may take it."""
    turn: int = 0
    """Grows with each turn, so that no two versions of the document are alike."""


@dataclass(frozen=True)
class Turn:
    """The right to change a rollout, for some time; each write makes another one."""

    document: CanaryDocument
    version: str

    @property
    def state(self) -> CanaryState:
        """As it was read or written last."""
        return self.document.state


class CanaryRecord:
    """The record of one deployment's rollouts.

    Args:
        store: where it lies.
        name: of the deployment.
    """

    def __init__(self, store: ObjectStore, name: str) -> None:
        self.store = store
        self.name = name
        self.key = f"canary/{name}/state.json"

    def read(self) -> CanaryState | None:
        """The newest rollout, None where there was none.

        Raises:
            CanaryError: something else lies there.
            ObjectStoreError: the store does not answer.
        """
        document, _ = self._read()
        return None if document is None else document.state

    def begin(self, state: CanaryState, *, now: datetime) -> None:
        """Have a new rollout, in place of one that is over.

        Raises:
            CanaryError: one is under way.
            CanaryBusyError: another process began one at this moment, or ends one.
        """
        document, version = self._read()
        if document is not None:
            if not document.state.is_over:
                raise CanaryError(
                    f"a rollout of {document.state.canary} is under way.",
                    remedy="Wait for its end, or end it: `marquee canary abort`.",
                )
            self._require_free(document, "", now)
        self._write(CanaryDocument(state=state, turn=document.turn + 1 if document else 0), version)

    def take(self, holder: str, *, now: datetime, lasting: timedelta) -> Turn:
        """Take the turn.

        Args:
            holder: who; a name that no other process has.
            now: the present, with a zone.
            lasting: after that others may take it from one who died.

        Raises:
            CanaryError: there is no rollout.
            CanaryBusyError: another process has it.
        """
        document, version = self._read()
        if document is None:
            raise CanaryError(f"{self.name} has no rollout.", remedy="Begin one: `marquee canary start`.")
        self._require_free(document, holder, now)
        taken = document.model_copy(
            update={"holder": holder, "held_until": now + lasting, "turn": document.turn + 1}
        )
        return Turn(taken, self._write(taken, version))

    def save(self, turn: Turn, state: CanaryState, *, release: bool = False) -> Turn:
        """Write the state; with `release` the turn is anybody's.

        Raises:
            CanaryBusyError: the turn was taken by another process: stop, and touch nothing.
        """
        changes: dict[str, object] = {"state": state}
        if release:
            changes |= {"holder": "", "held_until": None}
        document = turn.document.model_copy(update=changes)
        if document == turn.document:
            return turn
        return Turn(document, self._write(document, turn.version))

    def require(self, turn: Turn) -> None:
        """Make sure that nobody took the turn.

        Raises:
            CanaryBusyError: somebody did.
        """
        if self._read()[1] != turn.version:
            raise _busy("it took the turn over.")

    def decided(self, record: DecisionRecord) -> str:
        """Keep a decision; returns its key. One that a crash left without a state is replaced."""
        key = f"canary/{self.name}/{record.state.started_at:{_STAMP}}/decision-{record.number:04}.json"
        content = record.model_dump_json(indent=1).encode() + b"\n"
        try:
            self.store.write(key, content, expected=None)
        except ConflictError:
            self.store.write(key, content, expected=self.store.read(key).version)
        return key

    def decisions(self) -> tuple[str, ...]:
        """The keys of all decisions, oldest first."""
        return tuple(key for key in self.store.list_keys(f"canary/{self.name}/") if key != self.key)

    def _require_free(self, document: CanaryDocument, holder: str, now: datetime) -> None:
        until = document.held_until
        if document.holder and document.holder != holder and until is not None and now < until:
            raise _busy(f"{document.holder} is at it until {until:%H:%M:%S} UTC.")

    def _read(self) -> tuple[CanaryDocument | None, str | None]:
        try:
            found = self.store.read(self.key)
            return CanaryDocument.model_validate_json(found.content), found.version
        except ObjectMissingError:
            return None, None
        except ValidationError as error:
            raise CanaryError(
                f"{self.store.uri}/{self.key} is none of our records: {error.errors()[0]['msg']}.",
                remedy="Use the release that wrote it, or restore the file.",
            ) from error

    def _write(self, document: CanaryDocument, version: str | None) -> str:
        content = document.model_dump_json(indent=1).encode() + b"\n"
        try:
            return self.store.write(self.key, content, expected=version)
        except ConflictError as error:
            raise _busy("it wrote at the same moment.") from error

    @classmethod
    def of(cls, store: ObjectStore, name: str) -> Self:
        """Of a deployment's name.

        Raises:
            CanaryError: it is no name for a file.
        """
        if not name or not all(letter.isalnum() or letter in "-_." for letter in name) or name[0] == ".":
            raise CanaryError(
                f"{name!r} can't name a rollout.", remedy="Use letters, digits, dots and hyphens."
            )
        return cls(store, name)


def _busy(words: str) -> CanaryBusyError:
    return CanaryBusyError(
        f"another process has this rollout in hand: {words}", remedy="Nothing to do: it goes on by itself."
    )
