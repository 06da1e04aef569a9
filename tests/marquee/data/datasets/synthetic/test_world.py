import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from marquee import schema
from marquee.data.content_ratings import min_age_of
from marquee.data.datasets.synthetic.config import GENRES, Shock, SyntheticConfig
from marquee.data.datasets.synthetic.world import make_world

CONFIG = SyntheticConfig(n_users=500, n_items=300, days=100)


@pytest.fixture(scope="module")
def world():
    return make_world(CONFIG)


def test_make_world_makes_tables_of_the_contract(world):
    assert dict(world.users.schema) == schema.USERS_SCHEMA
    assert dict(world.movies.schema) == schema.MOVIES_SCHEMA
    assert (world.users[schema.USER_ID].n_unique(), world.movies[schema.ITEM_ID].n_unique()) == (500, 300)


def test_make_world_does_not_depend_on_the_number_of_events(world):
    other = make_world(CONFIG.model_copy(update={"n_events": 7}))

    assert other.movies.equals(world.movies)
    assert np.array_equal(other.taste, world.taste)


def test_make_world_limits_minors_to_their_age(world):
    minors = world.users.filter(pl.col(schema.AGE) < 18)

    assert len(minors) > 0
    assert minors[schema.MATURITY_LIMIT].equals(minors[schema.AGE].rename(schema.MATURITY_LIMIT))
    assert world.users.filter(pl.col(schema.AGE) >= 18)[schema.MATURITY_LIMIT].null_count() == 500 - len(
        minors
    )


def test_make_world_gives_each_rating_its_age(world):
    ratings = world.movies[schema.CONTENT_RATING]

    assert world.movies[schema.MIN_AGE].to_list() == [min_age_of(rating) for rating in ratings]
    assert ratings.null_count() > 0


def test_make_world_ties_movies_to_their_genres(world):
    similarity = world.item_factors @ world.item_factors.T
    shares = (world.has_genre.astype(int) @ world.has_genre.T.astype(int)) > 0
    others = ~np.eye(300, dtype=bool)

    assert similarity[shares & others].mean() > similarity[~shares].mean() + 0.3


def test_make_world_tells_age_from_taste(world):
    age = world.users[schema.AGE].to_numpy()
    young, old = world.taste[age < 30].mean(axis=0), world.taste[age > 50].mean(axis=0)
    within = world.taste[age < 30][::2].mean(axis=0) - world.taste[age < 30][1::2].mean(axis=0)

    assert np.linalg.norm(young - old) > 1.5 * np.linalg.norm(within)


def test_popularity_on_a_day_is_zero_before_release_and_highest_at_it(world):
    calm = make_world(CONFIG.model_copy(update={"popularity_drift": 0.0}))
    item = int(np.argmax(calm.released_day))
    day = int(calm.released_day[item])

    weights = [calm.popularity_on(each)[item] for each in (day - 1, day, day + 21)]

    assert weights[0] == 0
    assert weights[1] == pytest.approx(calm.base_weight[item] * (1 + 3))
    assert weights[2] == pytest.approx(calm.base_weight[item] * (1 + 3 * np.exp(-1)))


def test_popularity_on_days_drifts_apart(world):
    old = world.released_day < -365
    first, last = world.popularity_on(0)[old], world.popularity_on(100)[old]

    assert np.corrcoef(np.log(first), np.log(last))[0, 1] < 0.98
    assert set(np.argsort(first)[-10:]) != set(np.argsort(last)[-10:])


def test_popularity_on_the_day_of_a_shock_multiplies_its_genre():
    shock = Shock(day=10, genre="War", strength=np.log(4.0))
    calm, shocked = make_world(CONFIG), make_world(CONFIG.model_copy(update={"shock": shock}))
    is_war = calm.has_genre[:, GENRES.index("War")]

    assert np.array_equal(shocked.popularity_on(9), calm.popularity_on(9))
    ratio = shocked.popularity_on(10) / np.maximum(calm.popularity_on(10), 1e-300)
    released = calm.released_day <= 10
    assert ratio[is_war & released] == pytest.approx(4.0)
    assert ratio[~is_war & released] == pytest.approx(1.0)


def test_taste_on_the_last_day_has_turned_by_the_configured_angle(world):
    users = np.arange(500)
    start = world.taste_on(users, np.zeros(500)) / world.affinity_scale
    end = world.taste_on(users, np.full(500, 100.0)) / world.affinity_scale

    angle = np.radians(40)
    assert start == pytest.approx(world.taste, abs=1e-5)
    assert end == pytest.approx(np.cos(angle) * world.taste + np.sin(angle) * world.later_taste, abs=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"n_events": 20_000_001}, {"days": 0}, {"new_user_share": 1.1}, {"n_movies": 3}]
)
def test_synthetic_config_refuses_what_it_can_not_make(wrong):
    with pytest.raises(ValidationError):
        SyntheticConfig(**wrong)
