"""The online store of a server: opened as soon as it can be, and held to the meaning that bundles learned."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from marquee.adapters.feast.door import FeatureDoor
from marquee.errors import FeatureStoreError, MarqueeError
from marquee.feature_state import FeatureState
from marquee.features.reader import SERVICE
from marquee.settings import Settings
from serving.logs import LOG
from serving.slots import Slot
from serving.user_rows import AskRow, ReadRow, UserRows

_NOBODY: Final = "-"
"""A user whom no store knows, for the first read, which opens connections."""


@dataclass(frozen=True, eq=False)
class _DoorAsker:
    """Reads rows from the event loop."""

    door: FeatureDoor

    async def __call__(self, user_id: str, now: datetime) -> Mapping[str, Any]:
        return (await self.door.ask_user_row(SERVICE, user_id, now=now)).values

    async def close(self) -> None:
        await self.door.end_asking()


@dataclass
class Store:
    """Opens the store of a data set and gives its rows."""

    settings: Settings
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    door: FeatureDoor | None = None
    _said: str = ""

    def open(self, storage: str) -> None:
        """Open it, if it is not yet.

        Raises:
            MarqueeError: there is no registry, or the profile does not fit.
        """
        if self.door is None:
            door = FeatureState.of(storage, self.settings, environment=self.environment).open()
            door.service_hash(SERVICE)
            self.door = door

    def require(self, slot: Slot) -> None:
        """Check that the features mean what a bundle learned; a store that is not open yet is believed.

        Raises:
            FeatureStoreError: they do not.
        """
        if self.door is not None:
            for service, meaning in slot.answering.model.manifest.content["features"]["services"].items():
                self.door.require_service(service, meaning)

    def connect(self, rows: UserRows, slots: Iterable[Slot]) -> None:
        """Let requests read from it, if it can be opened; says once why it can't, and once that it can.

        Args:
            rows: of the requests.
            slots: all bundles that answer, the default one first: rows must mean what each of them learned.
        """
        if rows.read is not None:
            return
        try:
            for slot in slots:
                self.open(slot.storage)
                self.require(slot)
        except MarqueeError as error:
            if str(error) != self._said:
                LOG.warning("lists are made without users' rows: %s", error)
                self._said = str(error)
            return
        rows.read, rows.ask = self.reader(), self.asker()
        rows.service_hash = self.door.service_hash(SERVICE) if self.door is not None else ""
        if self._said:
            LOG.warning("users' rows are there")

    def reader(self) -> ReadRow:
        """What reads one row; the first read is done here, since it opens connections and looks views up."""
        door = self.door
        if door is None:
            raise FeatureStoreError("the feature store is not open.", remedy="Call `open` before.")

        def read(user_id: str, now: datetime) -> Mapping[str, Any]:
            return door.get_user_row(SERVICE, user_id, now=now).values

        try:
            read(_NOBODY, datetime.now(UTC))
        except FeatureStoreError as error:
            LOG.warning("the online store does not answer yet: %s", error)
        return read

    def asker(self) -> AskRow | None:
        """What reads one row from the event loop; None where the store needs a thread for it."""
        door = self.door
        if door is None or not door.can_ask(SERVICE):
            return None
        return _DoorAsker(door)
