"""The bundles that answer, side by side, each replaced whole: a request keeps the one that it began with."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Final, Protocol, Self

from marquee.answering import AnsweringModel, Ask
from marquee.bundle import MANIFEST
from marquee.candidates.surge_board import BOARD, SurgeBoard
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.errors import BundleError, FeatureStoreError, MarqueeError
from marquee.features.item_matrix import ItemMatrixFolder
from marquee.features.item_matrix.matrix import ItemMatrix, microseconds
from marquee.features.movie_states import MovieStates
from marquee.features.user_rows import query_after
from marquee.packing import Model
from marquee.run_folder import BUNDLE
from marquee.schema import SURFACES

DEFAULT: Final = "default"
"""The slot that answers whom no experiment sends elsewhere."""
CHAMPION: Final = "champion"
"""What the default slot is called in a folder of several bundles."""
RETRY_REFUSED_S: Final = 60.0
"""After so long a bundle that was refused is looked at again, though nothing of it has changed."""
WARM_HISTORY: Final = 20


@dataclass(frozen=True, eq=False)
class Slot:
    """One bundle in memory, immutable."""

    name: str
    answering: AnsweringModel
    loaded_at: datetime
    matrix_version: str | None = None
    """Of the item matrix that the movies' state is of; None where it is the bundle's own."""

    @property
    def bundle_id(self) -> str:
        """Of its manifest."""
        return self.answering.model.manifest.bundle_id

    @property
    def storage(self) -> str:
        """The warehouse that it learned from, which names its feature state, too."""
        name: str = self.answering.model.manifest.provenance["warehouse"]
        return name

    @property
    def trained_at(self) -> datetime | None:
        """When the bundle was trained; None where its manifest does not say."""
        text = self.answering.model.manifest.provenance.get("created_at")
        return None if text is None else datetime.fromisoformat(text)

    @property
    def state_as_of_us(self) -> int:
        """The moment that the movies' state is of, UTC microseconds."""
        return int(self.answering.recommender.catalogue.states.moments_us[-1])


class SlotsObserver(Protocol):
    """Hears what becomes of bundles and item matrices."""

    def loaded(self, slot: Slot, *, seconds: float) -> None:
        """A bundle answers from now on."""
        ...

    def refused(self, name: str, error: MarqueeError) -> None:
        """A bundle or an item matrix can't be served; what was there before stays."""
        ...

    def refreshed(self, slot: Slot) -> None:
        """The movies' state is of another moment."""
        ...


@dataclass
class _Watched:
    """A place, and what was last seen there."""

    path: Path
    seen: object = None
    refused_at: float | None = None


@dataclass
class Slots:
    """Bundles by name; `current` is swapped whole and never changed.

    Args:
        places: folder of each slot's bundle, one of them `DEFAULT`.
        matrix_folder: from a bundle's warehouse to the folder of its item matrices.
        observer: hears what happens.
        require: asked of each bundle before it answers; raises `MarqueeError` where it does not fit here.
    """

    places: Mapping[str, Path]
    matrix_folder: Callable[[str], Path]
    observer: SlotsObserver
    require: Callable[[Slot], None] = lambda _: None
    clock: Callable[[], float] = monotonic
    current: Mapping[str, Slot] = field(default_factory=dict)
    _watched: dict[str, _Watched] = field(default_factory=dict, repr=False)
    _matrices: dict[str, ItemMatrix] = field(default_factory=dict, repr=False)
    _refused_matrices: dict[str, _Watched] = field(default_factory=dict, repr=False)
    _boards: dict[str, SurgeBoard] = field(default_factory=dict, repr=False)
    _seen_boards: dict[str, object] = field(default_factory=dict, repr=False)

    @classmethod
    def load(
        cls,
        places: Mapping[str, Path],
        *,
        matrix_folder: Callable[[str], Path],
        observer: SlotsObserver,
        require: Callable[[Slot], None] = lambda _: None,
    ) -> Self:
        """Read, verify and warm all bundles.

        Raises:
            BundleError: one of them can't be served.
        """
        slots = cls(dict(places), matrix_folder, observer, require)
        for name, path in slots.places.items():
            slots._watched[name] = _Watched(path, _files(path))
            slots._put(slots._read(name, path))
        slots.look_at_matrices()
        slots.look_at_surges()
        return slots

    @property
    def default(self) -> Slot:
        """The slot of whom no experiment sends elsewhere."""
        return self.current[DEFAULT]

    def slot(self, name: str | None) -> Slot:
        """A slot by its name; the default one where there is none of that name."""
        current = self.current
        return current.get(name or DEFAULT, current[DEFAULT])

    def wants_another(self, name: str | None, slot: Slot) -> bool:
        """Whether a slot stands in for one that is not loaded; the champion is the default one."""
        return name not in {None, CHAMPION, slot.name}

    def _read(self, name: str, path: Path) -> Slot:
        """Read, verify and warm; nobody is served by it yet.

        Raises:
            MarqueeError: it can't be read, does not fit here, or fails to answer.
        """
        began = self.clock()
        try:
            slot = Slot(name, AnsweringModel.of(Model.read(path)), datetime.now(UTC))
            self.require(slot)
            slot = self._with_matrix(slot, self._matrices.get(slot.storage))
            slot = replace(slot, answering=slot.answering.with_surges(self._boards.get(slot.storage)))
            warm(slot.answering)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # whole, but no sound model
            raise BundleError(
                f"{path} holds a model that does not answer: {error!r}.", remedy="Train again."
            ) from error
        self.observer.loaded(slot, seconds=self.clock() - began)
        return slot

    def _put(self, slot: Slot) -> None:
        self.current = MappingProxyType({**self.current, slot.name: slot})

    # --- what changes while it runs ---------------------------------------------------------------------

    def look_at_bundles(self) -> None:
        """Serve each bundle that lies at its place now: read beside the old one, verified, warmed, swapped.

        One that can't be served is refused, and the old one goes on; it is tried again when it changes,
        or after a while.
        """
        for name, watched in self._watched.items():
            if not self._is_due(watched, _files(watched.path)):
                continue
            try:
                if self.current[name].answering.model.manifest.to_bytes() != _manifest(watched.path):
                    self._put(self._read(name, watched.path))
                watched.refused_at = None
            except MarqueeError as error:
                watched.refused_at = self.clock()
                self.observer.refused(name, error)

    def _is_due(self, watched: _Watched, found: object) -> bool:
        """Whether what lies there has changed, or was refused a while ago."""
        is_new, watched.seen = found != watched.seen, found
        return is_new or (
            watched.refused_at is not None and self.clock() - watched.refused_at >= RETRY_REFUSED_S
        )

    def look_at_matrices(self) -> None:
        """Take over item matrices that were exported since."""
        for storage in {slot.storage for slot in self.current.values()}:
            path = self.matrix_folder(storage)
            seen, refused = _files(path), self._refused_matrices.get(storage)
            if refused is not None and not self._is_due(refused, seen):
                continue
            held, folder = self._matrices.get(storage), ItemMatrixFolder(path)
            try:
                version = folder.current_version()
                if version is not None and (held is None or held.version != version):
                    self._take_over(storage, folder.load_current())
                self._refused_matrices.pop(storage, None)
            except FeatureStoreError as error:
                self._refused_matrices[storage] = _Watched(path, seen, self.clock())
                self.observer.refused(matrix_name(storage), error)

    def _take_over(self, storage: str, matrix: ItemMatrix) -> None:
        fresh = [self._with_matrix(slot, matrix) for slot in self.current.values() if slot.storage == storage]
        self._matrices[storage] = matrix
        for slot in fresh:
            if slot is not self.current[slot.name]:
                self._swap(slot)
                self.observer.refreshed(slot)

    def look_at_surges(self) -> None:
        """Take over boards of surges that were written since; one that can't be read changes nothing."""
        for storage in {slot.storage for slot in self.current.values()}:
            file = self.matrix_folder(storage) / BOARD
            seen = _file(file)
            if seen is None or seen == self._seen_boards.get(storage):
                continue
            self._seen_boards[storage] = seen
            try:
                board = SurgeBoard.read(file)
            except FeatureStoreError as error:
                self.observer.refused(surges_name(storage), error)
                continue
            self._boards[storage] = board
            for slot in self.current.values():
                if slot.storage == storage:
                    self._swap(replace(slot, answering=slot.answering.with_surges(board)))

    def _swap(self, slot: Slot) -> None:
        """Put a changed slot in its place, when what is made on first use is there."""
        warm(slot.answering)
        self._put(slot)

    @staticmethod
    def _with_matrix(slot: Slot, matrix: ItemMatrix | None) -> Slot:
        """The slot with the newer of its own state and the matrix's."""
        if matrix is None or matrix.as_of_us <= slot.state_as_of_us:
            return slot
        states = MovieStates.of_matrix(matrix, slot.answering.recommender.items)
        return replace(slot, answering=slot.answering.with_states(states), matrix_version=matrix.version)


def warm(answering: AnsweringModel) -> None:
    """Ask once for each list, so that what is made on first use is there before the first user."""
    recommender = answering.recommender
    now_us = microseconds(datetime.now(UTC))
    history = answering.item_ids[:WARM_HISTORY]
    for query in (
        query_after(history, time_us=now_us, items=recommender.items),
        query_after([], time_us=now_us, items=recommender.items),
    ):
        for surface in SURFACES:
            about = 0 if len(recommender.items) else UNKNOWN_INDEX
            answering.list_for(Ask(query, 12, surface, about))


def matrix_name(storage: str) -> str:
    """What the item matrix of a warehouse is called where it is refused."""
    return f"item matrix of {storage}"


def surges_name(storage: str) -> str:
    """What the board of surges of a warehouse is called where it is refused."""
    return f"surges of {storage}"


def _file(path: Path) -> tuple[int, int, int] | None:
    """What tells whether a file has changed; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _files(path: Path) -> frozenset[tuple[str, int, int, int]]:
    """What tells whether a folder has changed: name, number, length and time of each file.

    A manifest alone does not: the files that it names may come after it.
    """
    found = set()
    with suppress(OSError):  # gone meanwhile: the next look sees what there is then
        for file in path.rglob("*"):
            stat = file.stat()
            found.add((str(file), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return frozenset(found)


def _manifest(path: Path) -> bytes:
    """Of a bundle; nothing where none can be read."""
    try:
        return (path / MANIFEST).read_bytes()
    except OSError:
        return b""


def find_places(folder: Path) -> dict[str, Path]:
    """The slots of a folder: a bundle, a run with a bundle, or a folder of bundles by name.

    Of several the one called "champion" or "default" is the default slot.

    Raises:
        BundleError: there is no bundle, or none of several is the default one.
    """
    for place in (folder, folder / BUNDLE):
        if (place / MANIFEST).is_file():
            return {DEFAULT: place}
    found = {file.parent.name: file.parent for file in sorted(folder.glob(f"*/{MANIFEST}"))}
    for name in (CHAMPION, DEFAULT):
        if name in found:
            return {DEFAULT: found.pop(name), **found}
    has = f"it holds {', '.join(found)}, none of them called {CHAMPION}" if found else "it holds no bundle"
    raise BundleError(
        f"{folder} can't be served: {has}.",
        remedy=f"Give a bundle, a run folder, or a folder of bundles of which one is {CHAMPION}.",
    )
