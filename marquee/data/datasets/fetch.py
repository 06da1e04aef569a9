"""Fetch a data set of the catalogue: from a given source, the cache, its publisher, or a wheel."""

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from marquee.data.datasets import publicity
from marquee.data.datasets.archive import list_files, take_files
from marquee.data.datasets.catalogue import CATALOGUE, DatasetInfo
from marquee.data.datasets.download import cached_wheel, fetch_url, fetch_wheel
from marquee.data.datasets.movielens import load_movielens
from marquee.data.datasets.own_folder import load_own_folder
from marquee.data.datasets.raw import Progress, RawDataset, ignore_progress
from marquee.data.datasets.streaming_titles import load_streaming_titles
from marquee.data.datasets.synthetic.config import SyntheticConfig
from marquee.data.datasets.synthetic.load import load_synthetic
from marquee.errors import ConfigError, DatasetUnavailableError, MarqueeError, SourceError

_TIME_NOTES: Final[dict[publicity.KnownSince, str]] = {
    "release": "publicity of 2026-10-18, taken as known since each movie's release: hindsight",
    "observed": "publicity counts as known since it was observed, 2026-10-18, after the events of this data",
}


class DatasetConfig(BaseModel):
    """What may be chosen about a data set beyond its name and source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    publicity_known_since: publicity.KnownSince = "release"
    """The publicity of MovieLens data was observed in 2026, long after its events. "release" takes each
    score as known since the movie's release (hindsight, and noted as such); "observed" is strict."""
    calendar_country: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    """Whose holidays and festivals a request may fall on, ISO 3166-1; by default the data set's own."""
    with_publicity: bool = True
    """Whether to look for movie facts and publicity at all."""
    synthetic: SyntheticConfig = SyntheticConfig()
    """What the generator makes."""


def fetch_dataset(
    name: str,
    *,
    cache: Path,
    source: str | Path | None = None,
    config: DatasetConfig | None = None,
    on_progress: Progress = ignore_progress,
) -> RawDataset:
    """Get a data set by name: from `source` where given, else from the cache, else from its publisher.

    Downloads are verified and kept in the cache; with a warm cache no network is touched.

    Args:
        name: one of `dataset_names`.
        cache: folder for downloads, unpacked files and generated events; made where missing.
        source: a folder, a zip, or a URL of one.
        config: choices beyond the name; the defaults where None.
        on_progress: called with what is being done, how much of it, and of how much (0 while unknown).

    Raises:
        ConfigError: no such name, or a source for a data set that takes none.
        DatasetUnavailableError: no source could deliver it; each one's reason is named.
        SourceError: a source is not what the data set looks like.
    """
    info = next((info for info in CATALOGUE if info.name == name), None)
    if info is None:
        known = ", ".join(info.name for info in CATALOGUE)
        raise ConfigError(f"there is no data set named {name!r}.", remedy=f"Use one of: {known}.")
    return _Fetch(info, cache, source, config or DatasetConfig(), on_progress).run()


@dataclass(frozen=True)
class _Fetch:
    """One request for a data set."""

    info: DatasetInfo
    cache: Path
    source: str | Path | None
    config: DatasetConfig
    on_progress: Progress

    def run(self) -> RawDataset:
        match self.info.name:
            case "synthetic":
                return self._synthetic()
            case "folder":
                return load_own_folder(self._given_source(), source=f"folder {self.source}")
            case "streaming-titles":
                root = self._given_source()
                work = self.cache / "streaming-titles"
                label = f"{self.source}"
                return load_streaming_titles(root, work=work, source=label, on_progress=self.on_progress)
            case _:
                return self._with_publicity(self._movielens())

    def _synthetic(self) -> RawDataset:
        if self.source is not None:
            raise ConfigError(f"synthetic takes no source, got {self.source}.", remedy="Leave --source out.")
        return load_synthetic(self.config.synthetic, cache=self.cache, on_progress=self.on_progress)

    def _given_source(self) -> Path:
        if self.source is None:
            raise DatasetUnavailableError(
                f"{self.info.name} has no place to be downloaded from.",
                remedy="Give it with --source FOLDER_OR_ZIP.",
            )
        if not _is_url(self.source):
            return Path(self.source)
        return self._download(str(self.source), known_hash=None)

    def _movielens(self) -> RawDataset:
        if self.source is not None:
            return self._read(self._given_source(), label=str(self.source))
        if _is_whole(self.info, path := self._official_path()):
            return self._read(path, label="official zip")
        wheel = self.info.wheel
        # A wheel in the cache was taken when the publisher was out of reach; stay with it, offline too.
        if wheel and (found := cached_wheel(wheel, cache=self.cache)):
            return self._read(found, label=wheel.label)
        sources: list[tuple[str, Callable[[], Path]]] = [("official zip", self._fetch_official)]
        if wheel:
            from_pip = partial(fetch_wheel, wheel, cache=self.cache, on_progress=self.on_progress)
            sources.append((wheel.label, from_pip))
        return self._first_that_delivers(sources)

    def _first_that_delivers(self, sources: list[tuple[str, Callable[[], Path]]]) -> RawDataset:
        problems = []
        for label, fetch in sources:
            try:
                return self._read(fetch(), label=label)
            except (DatasetUnavailableError, SourceError) as err:
                problems.append(f"{label}: {err.problem}")
        raise DatasetUnavailableError(
            f"{self.info.name} can't be had. {' '.join(problems)}",
            remedy=f"Check the network, or give it with --source FOLDER_OR_ZIP (published: {self.info.url}).",
        )

    def _official_path(self) -> Path:
        return self.cache / self.info.name / f"{self.info.name}.zip"

    def _fetch_official(self) -> Path:
        return self._download(
            self.info.url or "", known_hash=self.info.known_hash, path=self._official_path()
        )

    def _download(self, url: str, *, known_hash: str | None, path: Path | None = None) -> Path:
        # Files of unknown URLs are told apart by the URL, not by its last part alone.
        name = PurePosixPath(urlsplit(url).path).name or "download.zip"
        path = path or self.cache / self.info.name / f"{_short_hash(url)}-{name}"
        fetch_url(url, path=path, known_hash=known_hash, on_progress=self.on_progress)
        if known_hash is None and not zipfile.is_zipfile(path):  # torn, or a page that says "not found"
            path.unlink()
            raise DatasetUnavailableError(
                f"{url}: what it delivers is not a zip.", remedy="Check the address."
            )
        return path

    def _read(self, root: Path, *, label: str) -> RawDataset:
        work = self.cache / self.info.name / f"unpacked-{_short_hash(str(root.absolute()))}"
        return load_movielens(self.info.name, root, work=work, source=label, on_progress=self.on_progress)

    def _with_publicity(self, data: RawDataset) -> RawDataset:
        """The data with movie facts and publicity; without them, and a note of why, where out of reach."""
        if not self.config.with_publicity or data.movies is None:
            return data
        try:
            facts = publicity.read_facts(self._facts_database())
        except MarqueeError as err:
            return replace(data, notes=(*data.notes, f"no publicity and no movie facts: {err.problem}"))
        enriched = publicity.enrich(data.movies, facts, known_since=self.config.publicity_known_since)
        notes = (*data.notes, enriched.note, _TIME_NOTES[self.config.publicity_known_since])
        return replace(data, movies=enriched.movies, publicity=enriched.publicity, notes=notes)

    def _facts_database(self) -> Path:
        wheel = fetch_wheel(publicity.WHEEL, cache=self.cache, on_progress=self.on_progress)
        files = take_files(
            list_files(wheel),
            [publicity.DATABASE_NAME],
            folder=publicity.DATABASE_FOLDER,
            into=self.cache / "publicity",
            on_progress=self.on_progress,
        )
        return files[publicity.DATABASE_NAME]


def _is_url(source: str | Path) -> bool:
    return isinstance(source, str) and source.startswith(("http://", "https://"))


def _is_whole(info: DatasetInfo, path: Path) -> bool:
    """Whether the cache has the official zip, with the published checksum where there is one."""
    if info.known_hash is None or not path.is_file():
        return path.is_file()
    algorithm, _, digest = info.known_hash.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == digest


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
