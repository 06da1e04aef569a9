"""What a user's activity would be, had they chosen just the items that a request names."""

from collections.abc import Sequence
from typing import Any

from marquee import schema
from marquee.features.request import SECOND_US


def activity_after(item_ids: Sequence[str], *, time_us: int) -> dict[str, Any]:
    """The row of `schema.USER_ACTIVITY_VIEW` after these choices, a second after one another.

    What the builder of the feature state makes of the same events, without a table in between: a server
    has no milliseconds for that. The tests ask both.

    Args:
        item_ids: what was chosen, oldest first, the last one a second before the request; of an item
            chosen twice the first choice counts.
        time_us: the moment of the request, UTC microseconds. With up to 3,600 items every window but the
            whole past holds all of them.

    Returns:
        Features by name; empty where nothing was chosen.
    """
    times: dict[str, int] = {}
    for place, item_id in enumerate(item_ids):
        times.setdefault(item_id, time_us - SECOND_US * (len(item_ids) - place))
    if not times:
        return {}
    counts = (
        schema.USER_EVENTS_ALL,
        schema.USER_EVENTS_1H,
        schema.USER_EVENTS_1D,
        schema.USER_EVENTS_7D,
        schema.USER_EVENTS_30D,
    )
    return dict.fromkeys(counts, len(times)) | {
        schema.USER_RATINGS_ALL: 0,
        schema.USER_HISTORY_ITEMS: list(times)[-schema.HISTORY_WIDTH :],
        schema.USER_HISTORY_TIMES: list(times.values())[-schema.HISTORY_WIDTH :],
        schema.USER_HISTORY_VALUES: [float("nan")] * min(len(times), schema.HISTORY_WIDTH),
    }
