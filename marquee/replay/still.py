"""A data set without drift: the same people doing the same things, each moved to another time."""

import numpy as np
import polars as pl

from marquee import schema


def dealt_anew(events: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    """Turn each user's events round the clock of the whole data set by a random amount.

    What a user did after what stays as it was, but for the one place where the end meets the beginning.
    No window differs from another by more than chance, so that whatever is heard in it is a false alarm.

    Args:
        events: with `user_id, timestamp`.
        seed: of the amounts.
    """
    users = events[schema.USER_ID].unique().sort()
    time_us = events[schema.TIMESTAMP].dt.epoch("us").to_numpy()
    first = int(time_us.min())
    length = int(time_us.max()) - first + 1
    amount = np.random.default_rng(seed).integers(0, length, len(users))
    moved = events.select(schema.USER_ID).join(
        pl.DataFrame({schema.USER_ID: users, "amount": amount}), on=schema.USER_ID, maintain_order="left"
    )["amount"]
    turned = first + (time_us - first + moved.to_numpy()) % length
    return events.with_columns(pl.Series(schema.TIMESTAMP, turned).cast(schema.TIME_DTYPE))
