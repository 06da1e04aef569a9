"""From a request and the user's row to a list, in the model's terms; runs in the scoring thread."""

import hashlib
from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final

import numpy as np

from marquee import schema
from marquee.answering import AnsweringModel, Ask, Listed, Seen
from marquee.data.histories import Queries
from marquee.features.given_history import activity_after
from marquee.features.user_rows import query_of, seen_items
from marquee.policy.restrictions import Restrictions
from serving.answered import Answered
from serving.protocol import Instance

PROFILE: Final = tuple(schema.FEATURE_VIEWS[schema.USER_PROFILE_VIEW])
"""What the store keeps of a user beside what they did."""


def make_list(answered: Answered) -> None:
    """Make the list that was asked for."""
    began = perf_counter()
    answering, instance = answered.slot.answering, answered.instance
    if instance.surface == "home":
        answered.query = query_for(answered)
    query = answered.query or seen_by(answered)
    ask = Ask(
        query,
        instance.n,
        instance.surface,
        answering.recommender.items.index_of(instance.item_id) if instance.item_id is not None else -1,
        restrictions_of(answering, instance, answered.user.values),
        instance.explain,
    )
    answered.history_events = len(ask.seen.item_index)
    answered.listed = answering.list_for(ask)
    if answered.listed.is_fallback:
        answered.degraded.append("unknown_item")
    answered.seconds["list"] = perf_counter() - began


def make_popular(answered: Answered) -> None:
    """The popular items, in a tenth of a millisecond: for when there is no time for more."""
    answering, instance = answered.slot.answering, answered.instance
    seen = Seen(answered.time_us, np.empty(0, np.int32))
    restrictions = restrictions_of(answering, instance, answered.user.values)
    listed = answering.list_for(Ask(seen, instance.n, "popular", restrictions=restrictions))
    answered.listed = Listed(listed.items, 0, is_fallback=instance.surface != "popular")


def values_for(answered: Answered) -> Mapping[str, Any]:
    """The user's row: a history in the request takes the place of the store's."""
    values, history = answered.user.values, answered.instance.history
    if history is None:
        return values
    profile = {name: values.get(name) for name in PROFILE}
    return profile | activity_after(history, time_us=answered.time_us)


def seen_by(answered: Answered) -> Seen:
    """What lists need that are the same for everybody; the rest of the query waits until it is logged."""
    items = answered.slot.answering.recommender.items
    return Seen(answered.time_us, seen_items(values_for(answered), items))


def query_for(answered: Answered) -> Queries:
    """The request in the model's terms."""
    items = answered.slot.answering.recommender.items
    return query_of(values_for(answered), time_us=answered.time_us, items=items)


def restrictions_of(answering: AnsweringModel, instance: Instance, values: Mapping[str, Any]) -> Restrictions:
    """What may not be shown: the stricter limit, and what is not wanted."""
    excluded = None
    if instance.exclude:
        index_of = answering.recommender.items.index_of
        excluded = np.fromiter(map(index_of, instance.exclude), np.int64, len(instance.exclude))
    return Restrictions.of_request(values, maturity_limit=instance.maturity_limit, excluded=excluded)


def features_hash(answered: Answered) -> str:
    """Names what was known of the user and of the movies' state; what a ranker read, where one was asked."""
    query, slot = answered.query or query_for(answered), answered.slot
    histories = query.histories
    digest = hashlib.blake2b(digest_size=8)
    for part in (query.user_state, histories.item_index, histories.timestamp_us, histories.value):
        digest.update(np.ascontiguousarray(part).data)
    digest.update((slot.matrix_version or slot.bundle_id).encode())
    return digest.hexdigest()
