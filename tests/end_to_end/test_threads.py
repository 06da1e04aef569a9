"""Linear algebra on more threads rounds otherwise; a run must not."""

import numpy as np
from threadpoolctl import threadpool_limits

from marquee.ranking.ranker import TrainingSet
from marquee.recommend import Recommender
from marquee.training import collect_training_set
from tests.factories import World, quick_config, stage_of, taste_groups

# Large enough that the library shares its work among threads at all.
LARGE = World(n_users=400, n_items=900, events_per_user=60, off_taste=12, days=60)


def learn_on_threads(n: int) -> tuple[Recommender, TrainingSet]:
    """First stage and training rows with `n` threads offered to BLAS."""
    dataset = taste_groups(LARGE)
    stage = stage_of(dataset, quick_config(routes={"als": {"factors": 48, "iterations": 2}}))
    with threadpool_limits(n, "blas"):
        last_us = int(dataset.interactions.timestamp_us[-1])
        return stage.fit(dataset.interactions, until_us=last_us), collect_training_set(
            dataset.interactions, stage
        )


def test_models_and_training_rows_on_one_or_two_threads_are_the_same_bits():
    one, rows_of_one = learn_on_threads(1)
    two, rows_of_two = learn_on_threads(2)

    for name, route in one.routes.items():
        for key, array in route.arrays().items():
            np.testing.assert_array_equal(array, two.routes[name].arrays()[key], err_msg=f"{name}/{key}")
    np.testing.assert_array_equal(rows_of_one.features, rows_of_two.features)
