"""The newest row of each key as of a moment, with the limit of age applied: what the online store answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import ValidationError

from marquee import schema
from marquee.errors import FeatureStoreError
from marquee.features.state.folder import CONTENTS, StateContents, StateFolder

_HASHES: Final = 2**64
_SEED: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class StateVersion:
    """One version of the state, opened by its own folder: a build that commits meanwhile changes nothing."""

    path: Path
    contents: StateContents

    @classmethod
    def current(cls, folder: StateFolder) -> "StateVersion":
        """The version that counts.

        Raises:
            FeatureStoreError: nothing was built yet, or it is damaged.
        """
        contents = folder.require()
        return cls(folder.current.resolve(), contents)

    def before(self) -> "StateVersion | None":
        """The version that was built before this one, None where none is kept or it can't be read."""
        others = [each for each in self.path.parent.iterdir() if each != self.path and each.is_dir()]
        for path in sorted(others, key=lambda each: each.stat().st_mtime, reverse=True):
            try:
                contents = StateContents.model_validate_json((path / CONTENTS).read_bytes())
            except (OSError, ValidationError):
                continue
            return StateVersion(path, contents)
        return None

    @property
    def as_of(self) -> datetime:
        """The state's last moment: of its last event, or the midnight of its last statistics."""
        last = _EPOCH + timedelta(microseconds=self.contents.last_us or 0)
        return max(last, _EPOCH + timedelta(days=self.contents.through_day or 0))

    def scan(self, view: str) -> pl.LazyFrame:
        """A view's table."""
        parts = self.contents.tables.get(view, ())
        if not parts:
            return pl.DataFrame(schema=schema.view_columns(view)).lazy()
        return pl.scan_parquet([self.path / part.path for part in parts], glob=False, hive_partitioning=False)


@dataclass(frozen=True, eq=False)
class NewestRows:
    """Where the newest rows of a view are; `read` brings columns of them."""

    scan: pl.LazyFrame
    key: str
    chosen: pl.DataFrame
    """Key, event and created time of the sampled keys' newest rows, and whether they have `expired`."""
    n_keys: int
    n_expired: int
    """Keys whose newest row is older than the limit of age: online they are missing."""
    n_later: int
    """Keys that have rows only after the moment."""
    newest: datetime | None

    @property
    def columns(self) -> dict[str, pl.DataType]:
        """The features that the table holds."""
        held = self.scan.collect_schema()
        rest = {self.key, schema.EVENT_TIMESTAMP, schema.CREATED_TIMESTAMP}
        return {name: dtype for name, dtype in held.items() if name not in rest}

    def read(self, features: Sequence[str], *, limit: int) -> pl.DataFrame:
        """Event time and features of at most `limit` of the sampled keys; null where a row has expired.

        Raises:
            FeatureStoreError: a build removed the table meanwhile.
        """
        times = [schema.EVENT_TIMESTAMP, schema.CREATED_TIMESTAMP]
        wanted = self.chosen.head(limit).lazy()
        held = self.scan.select(self.key, *times, *features).join(wanted, on=[self.key, *times])
        valid = [pl.when(~pl.col("expired")).then(pl.col(name)).alias(name) for name in features]
        rows = _collected(held).unique(self.key, keep="any").sort(self.key)
        return rows.select(schema.EVENT_TIMESTAMP, *valid)


def newest_rows(version: StateVersion, view: str, *, ttl_seconds: int | None, sample_keys: int) -> NewestRows:
    """Find each key's newest row as of the state's last moment; of equal times the last created wins.

    Args:
        version: of the state.
        view: its name.
        ttl_seconds: limit of age, None for none.
        sample_keys: keep at most about so many keys; the same keys in every version.

    Raises:
        FeatureStoreError: a build removed the version meanwhile.
    """
    key, event, created = schema.VIEW_KEYS[view], schema.EVENT_TIMESTAMP, schema.CREATED_TIMESTAMP
    as_of = pl.lit(version.as_of, schema.TIME_DTYPE)
    scan = version.scan(view)
    times = scan.select(key, event, created)
    last = _collected(times.group_by(key).agg(pl.col(event).filter(pl.col(event) <= as_of).max()))
    n_all, last = len(last), last.drop_nulls(event)
    newest = _collected(
        times.join(last.lazy(), on=[key, event]).group_by(key, event).agg(pl.col(created).max())
    )
    age = as_of - pl.col(event)
    is_expired = pl.lit(False) if ttl_seconds is None else age > pl.duration(seconds=ttl_seconds)
    newest = newest.with_columns(is_expired.alias("expired"))
    return NewestRows(
        scan=scan,
        key=key,
        chosen=_sampled(newest, key, sample_keys),
        n_keys=len(newest),
        n_expired=int(newest["expired"].sum()),
        n_later=n_all - len(newest),
        newest=newest[event].max(),  # type: ignore[arg-type]  # a column of times
    )


def _sampled(newest: pl.DataFrame, key: str, sample_keys: int) -> pl.DataFrame:
    """Keys with the smallest hashes, in their order: `head` of it is a smaller sample of the same kind."""
    hashed = newest.with_columns(pl.col(key).hash(_SEED).alias("_hash"))
    if len(newest) > sample_keys:
        share = sample_keys / len(newest)
        hashed = hashed.filter(pl.col("_hash") < int(share * _HASHES))
    return hashed.sort("_hash", key).drop("_hash")


def _collected(frame: pl.LazyFrame) -> pl.DataFrame:
    try:
        return frame.collect(engine="streaming")
    except (OSError, pl.exceptions.ComputeError) as err:
        raise FeatureStoreError(
            f"a table of the state can't be read: {' '.join(str(err).split())[:160]}.",
            remedy="Run it again; if it stays, build the state anew: `marquee features build`.",
        ) from err
