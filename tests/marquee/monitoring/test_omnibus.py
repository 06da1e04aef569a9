import numpy as np
import pytest

from marquee.monitoring.omnibus import CAP, together
from marquee.monitoring.signals import KINDS, QUALITY, SIGNALS, SURPRISE


def z_of(default: float = 0.0, **signals: float) -> np.ndarray:
    return np.array([[signals.get(name, default) for name in SIGNALS]])


@pytest.mark.parametrize(
    ("signals", "sum_of_kinds"),
    [
        ({}, 0.0),
        ({"history_length_wasserstein": 2.5, QUALITY: 3.0, "rating_wasserstein": 1.5}, 2.5 + 3.0 + 1.5),
        ({"genre_psi": 2.0, "item_bucket_psi": 3.0, "year_wasserstein": 1.0}, 3.0),  # one kind, its loudest
        ({"genre_psi": 8.8, QUALITY: 1.0}, CAP + 1.0),  # loud alone is not spread
        ({"genre_psi": np.inf}, CAP),
        ({"age_wasserstein": -3.0, "source_mix_psi": 2.0}, 2.0),  # less than usual takes nothing away
        ({SURPRISE: 9.0}, 0.0),  # tier C has a threshold of its own
        ({"genre_psi": np.nan, "genre_share_z": 1.0, QUALITY: np.nan}, 1.0),
    ],
)
def test_each_kind_counts_by_its_loudest_signal(signals, sum_of_kinds):
    assert together(z_of(**signals)) == pytest.approx([sum_of_kinds])


def test_all_kinds_count_alike_and_each_row_by_itself():
    rows = np.concatenate([z_of(9.0), z_of(1.0), z_of(np.nan)])

    assert together(rows) == pytest.approx([len(set(KINDS.values())) * CAP, len(set(KINDS.values())), 0.0])
