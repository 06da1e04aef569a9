"""The champion's list for every user, as of the night after the last event."""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from marquee import schema
from marquee.data.interactions import UNKNOWN_INDEX, Vocabulary
from marquee.data.splits import consumed
from marquee.data.storage import storage_errors
from marquee.errors import StepError
from marquee.features.movie_states import MovieStates
from marquee.features.reader import StateReader
from marquee.features.user_rows import queries_of
from marquee.recommend import Lists, Recommender
from marquee.registering import Models
from marquee.rivals import read_kept
from marquee.run_folder import BUNDLE
from marquee.steps.folders import Data, Facts
from marquee.steps.knobs import read_config
from marquee.steps.reading import read_data
from marquee.steps.task import Task
from marquee.training_moments import midnight_after

FILE: Final = "lists.parquet"
_BLOCK: Final = 10_000


class ScoredLists(Facts):
    """Of everybody's lists."""

    bundle_id: str
    """Whose they are."""
    users: int
    rows: int
    as_of_us: int
    """The moment they were asked at, UTC microseconds."""
    kept: str
    """Where a copy lies in the object store."""


def score_lists(data: Path, out: Path, *, state: StateReader, config: str, n: int, task: Task) -> ScoredLists:
    """Ask the champion for everybody's list, and keep it as Parquet here and in the object store.

    Args:
        data: the folder of `ingest_interactions`.
        out: the folder to write: a row per user and place, `user_id, rank, item_id, score, bundle_id`.
        state: what is known of users and movies.
        config: as `read_config`.
        n: length of each list.
        task: where models are kept.

    Raises:
        StepError: there is no champion yet, or `n` is none of 1 to 100.
        MarqueeError: a store does not answer, or the champion's bundle is damaged.
    """
    if not 1 <= n <= 100:
        raise StepError(f"n = {n} is no length of a list.", remedy="Give 1 to 100.")
    clock, watch = task.watched()
    facts = Data.read(data)
    models = Models.of(facts.storage, task.settings, task.environment)
    champion = models.champion()
    if champion is None:
        raise StepError(
            f"{facts.name} has no champion in {models.store.uri}.", remedy="Run the training pipeline first."
        )
    with clock.stage("load champion"):
        model = read_kept(models, champion.bundle_id, BUNDLE)
    with clock.stage("score"):
        events = consumed(read_data(data, read_config(config)).interactions)
        as_of_us = midnight_after(events)
        states = MovieStates.read(state, model.recommender.items, np.array([as_of_us], np.int64))
        recommender = model.recommender.with_states(states)
        parts = [
            _lists(recommender, events.users.ids[start : start + _BLOCK], state, as_of_us=as_of_us, n=n)
            for start in range(0, len(events.users), _BLOCK)
        ]
        table = pl.concat(parts).with_columns(bundle_id=pl.lit(champion.bundle_id))
    with storage_errors(out, what="the step's folder", error=StepError):
        out.mkdir(parents=True, exist_ok=True)
        table.write_parquet(out / FILE)
    key = f"lists/{facts.storage}/{champion.bundle_id}-{facts.snapshot[:16]}.parquet"
    models.store.put_file(key, out / FILE)
    found = ScoredLists(
        bundle_id=champion.bundle_id,
        users=len(events.users),
        rows=len(table),
        as_of_us=as_of_us,
        kept=f"{models.store.uri}/{key}",
        seconds=clock.seconds,
        memory_mb=watch.memory_mb,
    )
    found.write(out)
    return found


def _lists(
    recommender: Recommender, users: pl.Series, state: StateReader, *, as_of_us: int, n: int
) -> pl.DataFrame:
    moments = np.full(len(users), as_of_us, np.int64)
    rows = state.users(users, moments)
    index = np.arange(len(users), dtype=np.int32)
    queries = queries_of(rows, user_index=index, time_us=moments, items=recommender.items)
    return _as_rows(recommender.recommend(queries, n), users, recommender.items)


def _as_rows(lists: Lists, users: pl.Series, items: Vocabulary) -> pl.DataFrame:
    query, place = np.nonzero(lists.item_index != UNKNOWN_INDEX)
    return pl.DataFrame(
        {
            schema.USER_ID: users.gather(query),
            "rank": (place + 1).astype(np.int32),
            schema.ITEM_ID: items.ids.gather(lists.item_index[query, place]),
            "score": lists.score[query, place],
        }
    )
