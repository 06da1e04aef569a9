"""The matrix of a running server: read without a lock, refreshed beside the requests."""

from datetime import datetime
from pathlib import Path
from threading import Lock

from marquee.errors import FeatureStoreError
from marquee.features.item_matrix.folder import ItemMatrixFolder
from marquee.features.item_matrix.matrix import ItemMatrix


class ItemMatrixHolder:
    """Holds one version and swaps it whole. A request takes `current` once and keeps that one to its end.

    Raises:
        FeatureStoreError: there is no version to begin with, or it is torn or tampered with.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = ItemMatrixFolder(folder)
        self._refreshing = Lock()
        self._matrix = self._folder.load_current()
        self.failed_refreshes = 0
        """How many refreshes found something that can't be served; a metric."""
        self.last_failure: FeatureStoreError | None = None
        """Why the latest refresh failed; None where it did not."""

    @property
    def current(self) -> ItemMatrix:
        """The version that is held."""
        return self._matrix

    def refresh(self) -> bool:
        """Hold what the folder's pointer names; gives whether that is another version than before.

        What is missing, torn or tampered with is counted and not served: the version held stays.
        """
        with self._refreshing:
            try:
                changed = self._folder.current_version() != self._matrix.version
                if changed:
                    self._matrix = self._folder.load_current()
            except FeatureStoreError as err:
                self.failed_refreshes += 1
                self.last_failure = err
                return False
            self.last_failure = None
            return changed

    def age_seconds(self, now: datetime) -> float:
        """Age of the state that is held; a metric."""
        return self._matrix.age_seconds(now)
