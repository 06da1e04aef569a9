"""What a bundle would have shown the users of a window in its middle, and how well it met what came next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from marquee import schema
from marquee.data.histories import LabelledMoments
from marquee.data.interactions import UNKNOWN_INDEX, Interactions
from marquee.data.splits import consumed, cut_moments, sample_moments
from marquee.diagnosis import Questions
from marquee.evaluation.ranking_metrics import ndcg
from marquee.evaluation.relevance import judge
from marquee.features.memory_reader import MemoryReader
from marquee.features.state import SideTables
from marquee.monitoring.window import NDCG, TOP
from marquee.packing import Model
from marquee.steps.drift_windows import Events

MIN_EVENTS: Final = 4
"""Of a user in a span, so that there is something to be asked after, and something to be met."""
MAX_QUERIES: Final = 3_000


@dataclass(frozen=True, eq=False)
class AskedLists:
    """A row for each place, and a row for each user; the time is the moment that was asked at."""

    shown: pl.DataFrame
    quality: pl.DataFrame


def ask_bundle(
    model: Model, window: Events, spans: Sequence[tuple[int, int]], *, seed: int
) -> AskedLists | None:
    """Lists in the middle of each user's span, and their NDCG@10 on its rest; None where nobody qualifies.

    Users of spans that the model learned from are left out: it does better by them than by anybody else.

    Args:
        model: of any time.
        window: whose events and tables to know.
        spans: beginnings and ends, UTC microseconds.
        seed: draws where there are more than 3,000 moments.
    """
    learned = int(model.manifest.content.get("learned_until_us", 0))
    items = model.recommender.items
    events = consumed(Interactions.from_table(window.history, items=items))
    parts = [
        cut_moments(events, after_us=start - 1, until_us=end - 1, shares=(0.5,), min_events=MIN_EVENTS)
        for start, end in sorted(spans)
        if start > learned
    ]
    moments = LabelledMoments.joined(parts) if parts else None
    if moments is None or not len(moments):
        return None
    moments = sample_moments(moments, MAX_QUERIES, seed=seed)
    state = MemoryReader.of(events, SideTables(window.users, window.movies, window.publicity))
    asked = Questions.of(model.recommender, moments, events, state)
    lists = asked.recommender.recommend(asked.labelled.queries, TOP)
    quality = ndcg(judge(lists.item_index, asked.labelled.targets), TOP)
    users = events.users.ids.gather(pl.Series(asked.labelled.queries.user_index))
    times = pl.Series(schema.TIMESTAMP, asked.labelled.queries.time_us).cast(schema.TIME_DTYPE)
    query, place = np.nonzero(lists.item_index != UNKNOWN_INDEX)
    shown = pl.DataFrame(
        {
            schema.USER_ID: users.gather(query),
            schema.TIMESTAMP: times.gather(query),
            schema.POSITION: (place + 1).astype(np.int32),
            schema.SCORE: lists.score[query, place].astype(np.float64),
        }
    )
    return AskedLists(shown, pl.DataFrame({schema.USER_ID: users, schema.TIMESTAMP: times, NDCG: quality}))
