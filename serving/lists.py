"""From a request and the user's row to a list, in the model's terms; runs in the scoring thread."""

import hashlib
from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final

import numpy as np

from marquee import schema
from marquee.answering import AnsweringModel, Ask, Listed
from marquee.data.histories import Queries
from marquee.features.given_history import activity_after
from marquee.features.user_rows import query_of
from marquee.policy.restrictions import Restrictions
from serving.answered import Answered
from serving.protocol import Instance
from serving.slots import Slot

PROFILE: Final = tuple(schema.FEATURE_VIEWS[schema.USER_PROFILE_VIEW])
"""What the store keeps of a user beside what they did."""


def make_list(answered: Answered) -> None:
    """Make the list that was asked for."""
    began = perf_counter()
    answering, instance = answered.slot.answering, answered.instance
    query = query_for(answering, instance, answered.user.values, time_us=answered.time_us)
    items = answering.recommender.items
    answered.listed = answering.list_for(
        Ask(
            query,
            instance.n,
            instance.surface,
            items.index_of(instance.item_id) if instance.item_id is not None else -1,
            restrictions_of(answering, instance, answered.user.values),
            instance.explain,
        )
    )
    if answered.listed.is_fallback:
        answered.degraded.append("unknown_item")
    answered.history_events = len(query.histories.item_index)
    answered.features_hash = features_hash(query, answered.slot)
    answered.seconds["list"] = perf_counter() - began


def make_popular(answered: Answered) -> None:
    """The popular items, in a tenth of a millisecond: for when there is no time for more."""
    answering, instance = answered.slot.answering, answered.instance
    query = query_of({}, time_us=answered.time_us, items=answering.recommender.items)
    restrictions = restrictions_of(answering, instance, answered.user.values)
    listed = answering.list_for(Ask(query, instance.n, "popular", restrictions=restrictions))
    answered.listed = Listed(listed.items, 0, is_fallback=instance.surface != "popular")


def query_for(
    answering: AnsweringModel, instance: Instance, values: Mapping[str, Any], *, time_us: int
) -> Queries:
    """The request in the model's terms: a history in the request takes the place of the store's."""
    if instance.history is not None:
        profile = {name: values.get(name) for name in PROFILE}
        values = profile | activity_after(instance.history, time_us=time_us)
    return query_of(values, time_us=time_us, items=answering.recommender.items)


def restrictions_of(answering: AnsweringModel, instance: Instance, values: Mapping[str, Any]) -> Restrictions:
    """What may not be shown: the stricter limit, and what is not wanted."""
    excluded = None
    if instance.exclude:
        index_of = answering.recommender.items.index_of
        excluded = np.fromiter(map(index_of, instance.exclude), np.int64, len(instance.exclude))
    return Restrictions.of_request(values, maturity_limit=instance.maturity_limit, excluded=excluded)


def features_hash(query: Queries, slot: Slot) -> str:
    """Names what the ranker read of the user and of the movies' state."""
    histories = query.histories
    digest = hashlib.blake2b(digest_size=8)
    for part in (query.user_state, histories.item_index, histories.timestamp_us, histories.value):
        digest.update(np.ascontiguousarray(part).data)
    digest.update((slot.matrix_version or slot.bundle_id).encode())
    return digest.hexdigest()
