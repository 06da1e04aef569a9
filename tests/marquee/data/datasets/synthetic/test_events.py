from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee import schema
from marquee.data.datasets.synthetic import events as module
from marquee.data.datasets.synthetic.config import Shock, SyntheticConfig
from marquee.data.datasets.synthetic.events import generate_events
from marquee.data.datasets.synthetic.world import make_world
from marquee.errors import NotEnoughDataError

CONFIG = SyntheticConfig(n_events=120_000, n_users=600, n_items=400, days=56, start="2025-01-06")  # a Monday


def generate(config):
    return pl.concat(generate_events(config))


@pytest.fixture(scope="module")
def events():
    return generate(CONFIG)


@pytest.fixture(scope="module")
def world():
    return make_world(CONFIG)


def of_type(events, name):
    return events.filter(pl.col(schema.INTERACTION_TYPE) == name)


@given(
    n_events=st.integers(1, 3_000),
    n_users=st.integers(1, 50),
    n_items=st.integers(1, 50),
    days=st.integers(1, 40),
    seed=st.integers(0, 1_000),
)
@settings(max_examples=15, deadline=None)
def test_generate_events_of_any_size_makes_exactly_that_many(n_events, n_users, n_items, days, seed):
    config = SyntheticConfig(n_events=n_events, n_users=n_users, n_items=n_items, days=days, seed=seed)

    table = generate(config)

    assert len(table) == n_events
    assert dict(table.schema) == schema.INTERACTIONS_SCHEMA
    assert table.select(schema.REQUIRED_COLUMNS).null_count().sum_horizontal().item() == 0
    assert table.select(schema.EVENT_KEY).is_duplicated().sum() == 0


def test_generate_events_is_the_same_for_the_same_seed_only(events):
    assert generate(CONFIG).equals(events)
    assert not generate(CONFIG.model_copy(update={"seed": 1})).equals(events)


def test_generate_events_in_blocks_comes_in_time_order(monkeypatch):
    monkeypatch.setattr(module, "EVENTS_PER_BLOCK", 5_000)

    blocks = list(generate_events(CONFIG.model_copy(update={"n_events": 20_000})))

    assert [len(block) for block in blocks] == [5_000] * 4
    assert all(block[schema.TIMESTAMP].is_sorted() for block in blocks)
    starts = [block[schema.TIMESTAMP].min() for block in blocks]
    assert starts == sorted(starts)
    sessions = [set(block[schema.SESSION_ID]) for block in blocks]
    assert not sessions[0] & sessions[1]


def test_generate_events_stays_in_its_days(events):
    times = events[schema.TIMESTAMP]

    assert times.min() >= datetime(2025, 1, 6, tzinfo=UTC)
    assert times.max() < datetime(2025, 3, 3, 6, tzinfo=UTC)  # the last sessions end in the night


def test_generate_events_is_a_funnel(events):
    counts = dict(events[schema.INTERACTION_TYPE].cast(pl.String).value_counts().iter_rows())

    assert counts.keys() == set(schema.INTERACTION_TYPES)
    assert counts["impression"] > 3 * counts["click"] > 3 * counts["view"]
    assert counts["view"] > 2 * counts["rating"]
    assert counts["rating"] > counts["share"]


def test_generate_events_follows_each_click_from_an_impression_before_it(events):
    shown = of_type(events, "impression").select(
        schema.REQUEST_ID, schema.ITEM_ID, schema.POSITION, at=schema.TIMESTAMP
    )

    clicked = of_type(events, "click").join(
        shown, on=[schema.REQUEST_ID, schema.ITEM_ID, schema.POSITION], how="left"
    )

    # The cut of a block's last session goes by time, so no click loses its impression.
    assert clicked["at"].null_count() == 0
    assert (clicked[schema.TIMESTAMP] > clicked["at"]).all()


def test_generate_events_values_have_their_ranges(events):
    fraction = of_type(events, "view")[schema.VALUE]
    stars = of_type(events, "rating")[schema.VALUE]
    others = events.filter(~pl.col(schema.INTERACTION_TYPE).cast(pl.String).is_in(["view", "rating"]))

    assert fraction.is_between(0, 1).all()
    assert fraction.n_unique() > 1_000
    assert set(stars) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert others[schema.VALUE].null_count() == len(others)


def test_generate_events_skews_popularity(events):
    counts = events[schema.ITEM_ID].value_counts(sort=True)["count"]

    assert counts.head(CONFIG.n_items // 10).sum() / len(events) > 0.4  # a tenth of the movies


def test_generate_events_without_skew_spreads_them():
    flat = generate(CONFIG.model_copy(update={"popularity_exponent": 0.0, "popularity_drift": 0.0}))
    counts = flat[schema.ITEM_ID].value_counts(sort=True)["count"]

    assert counts.head(CONFIG.n_items // 10).sum() / len(flat) < 0.35


def test_generate_events_sessions_are_bursts_of_one_person(events):
    acts = events.filter(
        pl.col(schema.INTERACTION_TYPE).cast(pl.String).is_in(["impression", "click", "view"])
    )
    sessions = acts.group_by(schema.SESSION_ID).agg(
        pl.col(schema.USER_ID, schema.DEVICE, schema.LOCATION).n_unique(),
        minutes=(pl.col(schema.TIMESTAMP).max() - pl.col(schema.TIMESTAMP).min()).dt.total_seconds() / 60,
    )

    assert sessions.select(schema.USER_ID, schema.DEVICE, schema.LOCATION).max().row(0) == (1, 1, 1)
    assert sessions["minutes"].quantile(0.9) < 15


def test_generate_events_has_a_daily_and_a_weekly_rhythm(events):
    starts = events.group_by(schema.SESSION_ID).agg(pl.col(schema.TIMESTAMP).min())[schema.TIMESTAMP]
    hours = np.bincount(starts.dt.hour(), minlength=24)
    weekdays = np.bincount(starts.dt.weekday() - 1, minlength=7)  # 56 days: eight of each

    assert hours[20] > 5 * hours[3]
    assert weekdays[5] > 1.2 * weekdays[1]


def test_generate_events_ties_the_device_to_the_hour(events):
    hour = pl.col(schema.TIMESTAMP).dt.hour()
    on_tv = (pl.col(schema.DEVICE) == "tv").mean()

    assert events.filter(hour.is_between(19, 22)).select(on_tv).item() > 0.5
    assert events.filter(hour.is_between(9, 16)).select(on_tv).item() < 0.3


def test_generate_events_shows_no_movie_before_its_release(events, world):
    joined = events.join(world.movies.select(schema.ITEM_ID, schema.RELEASED_ON), on=schema.ITEM_ID)

    assert (joined[schema.TIMESTAMP].dt.date() >= joined[schema.RELEASED_ON]).all()
    new = world.movies.filter(pl.col(schema.RELEASED_ON) > CONFIG.start)[schema.ITEM_ID]
    assert events[schema.ITEM_ID].is_in(new.implode()).any()


def test_generate_events_shows_nobody_what_is_above_their_limit(events, world):
    joined = events.join(world.users.select(schema.USER_ID, schema.MATURITY_LIMIT), on=schema.USER_ID).join(
        world.movies.select(schema.ITEM_ID, schema.MIN_AGE), on=schema.ITEM_ID
    )
    limited = joined.filter(pl.col(schema.MATURITY_LIMIT).is_not_null())

    assert len(limited) > 0
    assert limited[schema.MIN_AGE].null_count() == 0  # what nobody rated is hidden from them too
    assert (limited[schema.MIN_AGE] <= limited[schema.MATURITY_LIMIT]).all()


def hit_rates(events, *, n_items):
    """Hits among ten, of item-item neighbours and of the most popular, on each user's last view."""
    views = of_type(events, "view").unique(
        [schema.USER_ID, schema.ITEM_ID], keep="first", maintain_order=True
    )
    item = views[schema.ITEM_ID].str.tail(6).cast(pl.Int64).to_numpy()
    user = views[schema.USER_ID].str.tail(6).cast(pl.Int64).to_numpy()
    last = {who: row for row, who in enumerate(user)}
    held_out = np.zeros(len(views), dtype=bool)
    held_out[[row for who, row in last.items() if (user == who).sum() >= 5]] = True
    seen = np.zeros((user.max() + 1, n_items))
    seen[user[~held_out], item[~held_out]] = 1
    count = seen.sum(axis=0)
    similarity = (seen.T @ seen) / np.sqrt(np.outer(count, count) + 1e-9)
    np.fill_diagonal(similarity, 0)
    scores = {"neighbours": seen @ similarity, "popular": np.broadcast_to(count, seen.shape)}
    rates = {}
    for name, score in scores.items():
        top = np.argsort(np.where(seen > 0, -np.inf, score), axis=1)[:, -10:]
        rates[name] = np.mean([item[row] in top[user[row]] for row in np.flatnonzero(held_out)])
    return rates


def test_generate_events_has_tastes_that_item_neighbours_learn(events):
    rates = hit_rates(events, n_items=CONFIG.n_items)

    assert rates["neighbours"] > 1.3 * rates["popular"]


def test_generate_events_without_taste_has_nothing_to_learn():
    config = CONFIG.model_copy(update={"taste_strength": 0.0})
    rates = hit_rates(generate(config), n_items=CONFIG.n_items)

    assert rates["neighbours"] < 1.15 * rates["popular"]


def test_generate_events_with_a_shock_moves_its_genre_from_that_day_on():
    config = CONFIG.model_copy(update={"shock": Shock(day=28, genre="War", strength=3.0)})
    world = make_world(config)
    war = world.movies.filter(pl.col(schema.GENRES).list.contains("War"))[schema.ITEM_ID]

    table = generate(config).with_columns(is_war=pl.col(schema.ITEM_ID).is_in(war.implode()))
    is_after = pl.col(schema.TIMESTAMP) >= datetime(2025, 2, 3, tzinfo=UTC)

    before, after = (table.filter(part)["is_war"].mean() for part in (~is_after, is_after))
    assert after > 2 * before


def test_generate_events_with_nothing_to_show_is_one_error():
    config = CONFIG.model_copy(update={"n_items": 3, "n_users": 3, "n_events": 500})
    world = make_world(config)
    world.min_age[:] = 2_000  # above every limit

    with pytest.raises(NotEnoughDataError, match="none of 3 movies"):
        list(generate_events(config, world))
