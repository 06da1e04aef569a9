"""How many users chose an item in the hours before each of many moments: each counts once, however often."""

import numpy as np
from numpy.typing import NDArray

from marquee.data.interactions import Interactions

Counts = NDArray[np.int32]


def distinct_users(
    choices: Interactions,
    ends_us: NDArray[np.int64],
    width_us: int,
    *,
    items: NDArray[np.integer] | None = None,
) -> Counts:
    """Users of each item in each window, `(n_items, n_ends) int32`.

    A window holds what came before its end, the end itself not included. The order of events, and whether
    one stands there twice, make no difference.

    Args:
        choices: events by which users chose items.
        ends_us: where the windows end, UTC microseconds, ascending.
        width_us: their length.
        items: indexes of the rows that are wanted; all items by default.
    """
    first, stop = _seen_in(choices, ends_us, width_us)
    place = np.arange(len(choices.items)) if items is None else _places(items, len(choices.items))
    row = place[choices.item_index]
    return _running(
        row, first, stop, shape=(len(choices.items) if items is None else len(items), len(ends_us))
    )


def user_item_pairs(choices: Interactions, ends_us: NDArray[np.int64], width_us: int) -> Counts:
    """The sum of `distinct_users` over all items, `(n_ends,) int32`: the traffic."""
    first, stop = _seen_in(choices, ends_us, width_us)
    row = np.zeros(len(choices), np.int64)
    return _running(row, first, stop, shape=(1, len(ends_us))).ravel()


def _seen_in(
    choices: Interactions, ends_us: NDArray[np.int64], width_us: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The windows that each event counts in, from the first to before the second.

    An event counts in those that hold it and no later one of the same user and item.
    """
    time = choices.timestamp_us
    pair = choices.user_index.astype(np.int64) * len(choices.items) + choices.item_index
    order = np.lexsort((time, pair))
    again = np.full(len(pair), np.iinfo(np.int64).max)
    is_same = pair[order[1:]] == pair[order[:-1]]
    again[order[:-1][is_same]] = time[order[1:][is_same]]
    first = np.searchsorted(ends_us, time, side="right")
    stop = np.searchsorted(ends_us, np.minimum(time + width_us, again), side="right")
    return first, np.maximum(stop, first)


def _running(
    row: NDArray[np.integer], first: NDArray[np.int64], stop: NDArray[np.int64], *, shape: tuple[int, int]
) -> Counts:
    """Ones from `first` to before `stop` in each row, added up; a row of -1 is left out."""
    kept = row >= 0
    n_rows, width = shape[0], shape[1] + 1  # what goes on past the last window stops there
    change = np.bincount(row[kept] * width + first[kept], minlength=n_rows * width)
    change -= np.bincount(row[kept] * width + stop[kept], minlength=n_rows * width)
    counts: Counts = np.asarray(np.cumsum(change.reshape(n_rows, width)[:, :-1], axis=1), np.int32)
    return counts


def _places(items: NDArray[np.integer], n_items: int) -> NDArray[np.int64]:
    places = np.full(n_items, -1, np.int64)
    places[items] = np.arange(len(items))
    return places
