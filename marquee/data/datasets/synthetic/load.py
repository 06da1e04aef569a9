"""Generate a synthetic data set into the cache, once, as Parquet parts."""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Final

import polars as pl

from marquee.data.datasets.download import sha256_of
from marquee.data.datasets.raw import Progress, RawDataset
from marquee.data.datasets.synthetic.config import SyntheticConfig
from marquee.data.datasets.synthetic.events import generate_events
from marquee.data.datasets.synthetic.world import make_world
from marquee.data.mapping import Mapping
from marquee.errors import DatasetUnavailableError

SYNTHETIC: Final = "synthetic"
GENERATOR_VERSION: Final = 1
"""Raised with every change that makes other events of the same config."""
_MANIFEST: Final = "manifest.json"


def synthetic_key(config: SyntheticConfig) -> str:
    """What decides the events: the generator's version and its configuration."""
    return json.dumps(
        {"version": GENERATOR_VERSION, "config": config.model_dump(mode="json")}, sort_keys=True
    )


def load_synthetic(config: SyntheticConfig, *, cache: Path, on_progress: Progress) -> RawDataset:
    """The data set of `config`, from the cache where it is whole, else generated.

    Parts are written to a temporary folder that is renamed at the end, so a killed run leaves none of it.

    Raises:
        DatasetUnavailableError: the cache can't be written.
        NotEnoughDataError: the config allows no event.
    """
    key = hashlib.sha256(synthetic_key(config).encode()).hexdigest()
    folder = cache / SYNTHETIC / key[:16]
    if not _is_whole(folder):
        try:
            _generate(config, folder=folder, on_progress=on_progress)
        except OSError as err:
            raise DatasetUnavailableError(
                f"synthetic can't be written to {folder}: {err}.",
                remedy="Make room or choose another cache folder.",
            ) from err
    return RawDataset(
        name=SYNTHETIC,
        interactions=tuple(sorted(folder.glob("interactions-*.parquet"))),
        mapping=Mapping.preset("contract-parquet"),
        source=f"generator version {GENERATOR_VERSION}, {config.n_events} events, seed {config.seed}",
        users=pl.read_parquet(folder / "users.parquet"),
        movies=pl.read_parquet(folder / "movies.parquet"),
        notes=("synthetic: results on it say nothing about people",),
    )


def _generate(config: SyntheticConfig, *, folder: Path, on_progress: Progress) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        world = make_world(config)
        world.users.write_parquet(partial / "users.parquet")
        world.movies.write_parquet(partial / "movies.parquet")
        n_done = 0
        for number, block in enumerate(generate_events(config, world)):
            block.write_parquet(partial / f"interactions-{number:05d}.parquet", compression="zstd")
            n_done += len(block)
            on_progress("generate events", n_done, config.n_events)
        hashes = {path.name: sha256_of(path) for path in sorted(partial.iterdir())}
        (partial / _MANIFEST).write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # what was there is not whole
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    """Whether the folder holds what its manifest says, byte for byte."""
    try:
        hashes = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        return bool(hashes) and all(sha256_of(folder / name) == digest for name, digest in hashes.items())
    except (OSError, ValueError):
        return False
