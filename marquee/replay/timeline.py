"""The windows of a replay: real weeks after a warm-up."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from marquee.data.interactions import Interactions
from marquee.errors import NotEnoughDataError
from marquee.features.context import DAY_US
from marquee.replay.config import ReplayConfig


@dataclass(frozen=True)
class Span:
    """A window of time, UTC microseconds."""

    number: int
    """From 1; 0 and below for those of the warm-up, which end with it."""
    start_us: int
    end_us: int
    """Not included."""

    @property
    def name(self) -> str:
        """Its first moment and its end."""
        start, end = (
            datetime.fromtimestamp(each / 1e6, UTC).strftime("%Y%m%dT%H%M")
            for each in (self.start_us, self.end_us)
        )
        return f"{start}-{end}"


def timeline(events: Interactions, config: ReplayConfig) -> tuple[Span, ...]:
    """Windows one after the other, each of whole `window_days` and with `min_users` at least.

    Events after the last window that is full are left out.

    Args:
        events: consumed ones, in time order.
        config: how long.

    Raises:
        NotEnoughDataError: not even two windows are full.
    """
    times = events.timestamp_us
    first, last = (int(times[at]) for at in (0, -1)) if len(times) else (0, 0)
    begin = (first + round((last - first) * config.warm_up_share)) // DAY_US * DAY_US
    spans: list[Span] = []
    end = begin
    while (end := end + config.window_days * DAY_US) <= last + config.window_days * DAY_US:
        if _users_between(events, begin, end) >= config.min_users:
            spans.append(Span(len(spans) + 1, begin, end))
            begin = end
    if len(spans) < 2:
        raise NotEnoughDataError(
            f"Only {len(spans)} windows after the warm-up have {config.min_users} users.",
            remedy="A replay needs two at least: bring a longer data set.",
        )
    return tuple(spans)


def warm_up_spans(first: Span, begin_us: int, window_days: int) -> tuple[Span, ...]:
    """Spans of a window's length from the warm-up's end back to its beginning, the oldest first."""
    length = window_days * DAY_US
    found: list[Span] = []
    end = first.start_us
    while end - length >= begin_us:
        found.append(Span(-len(found), end - length, end))
        end -= length
    return tuple(reversed(found))


def _users_between(events: Interactions, start_us: int, end_us: int) -> int:
    low, high = np.searchsorted(events.timestamp_us, [start_us, end_us])
    users: NDArray[np.int32] = np.unique(events.user_index[low:high])
    return len(users)
