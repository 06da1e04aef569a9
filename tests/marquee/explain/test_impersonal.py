import numpy as np
import pytest

from marquee import schema
from marquee.candidates.routes import ROUTE_TYPES
from marquee.explain.impersonal import Basis, basis_of, strongest_groups

PERSONAL = {"ease", "sequential", "als", "kernel", "item_knn", "nearby", "neighbours", "content"}


@pytest.mark.parametrize(
    ("feature", "basis"),
    [
        ("popular_rank", Basis.POPULAR),
        (schema.ITEM_EVENTS_ALL, Basis.POPULAR),
        ("trending_score", Basis.POPULAR_NOW),
        ("recent_popular_score_share", Basis.POPULAR_NOW),
        (schema.ITEM_EVENTS_7D, Basis.POPULAR_NOW),
        (schema.ITEM_RATING_MEAN, Basis.ACCLAIMED),
        ("pub_critic_score", Basis.ACCLAIMED),
        (schema.CONTEXT_HOUR, Basis.MOMENT),
        (schema.MOVIE_DURATION_MINUTES, Basis.MOVIE),
        (schema.ITEM_YEARS_SINCE_RELEASE, Basis.MOVIE),
        (schema.USER_EVENTS_ALL, None),
        (schema.USER_AGE, None),
        (schema.CROSS_GENRE_AFFINITY, None),
        (schema.CROSS_AUDIENCE_AGE_GAP, None),
    ],
)
def test_basis_of_a_feature_is_its_group(feature, basis):
    assert basis_of(feature) == basis


def test_basis_of_route_features_knows_every_route():
    impersonal = {name for name in ROUTE_TYPES if basis_of(f"{name}_score") is not None}

    assert impersonal == {"popular", "recent_popular", "trending"}
    assert set(ROUTE_TYPES) - impersonal >= PERSONAL


def test_strongest_group_adds_most_together():
    names = ("popular_rank", schema.ITEM_EVENTS_ALL, schema.ITEM_EVENTS_7D, "ease_score")
    contributions = np.array(
        [
            [0.2, 0.2, 0.3, 9.0],  # .2 + .2 > .3, and what is personal does not count
            [0.2, -0.1, 0.3, 0.0],
            [-0.2, -0.1, 0.0, 0.0],
        ]
    )

    assert strongest_groups(contributions, names) == [Basis.POPULAR, Basis.POPULAR_NOW, Basis.EVERYBODY]


def test_strongest_group_of_a_model_that_is_all_personal_is_everybody():
    assert strongest_groups(np.ones((1, 1)), ("ease_score",)) == [Basis.EVERYBODY]
