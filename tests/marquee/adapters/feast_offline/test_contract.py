"""The point-in-time contract: sixteen labels whose answers can be worked out by hand."""

import importlib.util
from datetime import timedelta

import pandas as pd
import pyarrow as pa
import pytest

from tests.marquee.adapters.feast_offline.repository import (
    MOVIE_FEATURES,
    MOVIE_SCHEMA,
    OURS,
    USER_FEATURES,
    USER_SCHEMA,
    day,
    feature_store,
    movie_row,
    movie_view,
    user_row,
    user_view,
    values,
    write,
)

needs_ibis = pytest.mark.skipif(
    importlib.util.find_spec("ibis") is None, reason="feast[duckdb] is not installed"
)
SECOND = timedelta(seconds=1)

USERS = [
    user_row(1, 1.0, 10, event=day(1)),
    user_row(1, 2.0, 20, event=day(5)),
    user_row(1, None, 30, event=day(8)),
    user_row(2, 5.0, 50, event=day(1, month=2)),
]
MOVIES = [
    movie_row(10, 0.1, "x", event=day(1)),
    movie_row(10, 0.2, "y", event=day(5)),
    movie_row(10, 0.25, "z", event=day(5), created=day(7)),  # a correction, made two days later
    movie_row(11, 0.3, "w", event=day(3)),
    movie_row(12, 0.4, "v", event=day(9)),
]
NO_USER = (None, None)
NO_MOVIE = (None, None)
FIRST, SECOND_STATE, NEWEST = (1.0, 10), (2.0, 20), (None, 30)
X, Y, Z, W, V = (0.1, "x"), (0.2, "y"), (0.25, "z"), (0.3, "w"), (0.4, "v")

# user, movie, label time, the user's values, the movie's values, these where they differ when only
# what was created by the label time counts
CASES = [
    (1, 10, day(2), FIRST, X, None),  # plain
    (1, 10, day(1), FIRST, X, NO_USER + NO_MOVIE),  # the label time itself counts; created at 01:00
    (2, 10, day(2), NO_USER, X, None),  # the user has only future rows
    (1, 12, day(2), FIRST, NO_MOVIE, None),  # the movie has only future rows
    (1, 11, day(6), SECOND_STATE, W, None),  # exactly three days old: within the TTL
    (1, 11, day(6) + SECOND, SECOND_STATE, NO_MOVIE, None),  # one second past it
    (1, 10, day(6), SECOND_STATE, Z, SECOND_STATE + Y),  # a tie: the last created wins; z not known yet
    (1, 10, day(5.5), SECOND_STATE, Z, SECOND_STATE + Y),  # a slate of one user and time
    (1, 11, day(5.5), SECOND_STATE, W, None),
    (1, 12, day(5.5), SECOND_STATE, NO_MOVIE, None),
    (1, 11, day(4), FIRST, W, None),  # the same label twice: both stay
    (1, 11, day(4), FIRST, W, None),
    (1, 12, day(9.5), NEWEST, V, None),  # the newest row wins though its value is null
    (99, 11, day(4) + 3600 * SECOND, NO_USER, W, None),
    (1, 999, day(4) + 7200 * SECOND, FIRST, NO_MOVIE, None),
    (98, 998, day(4) + 10800 * SECOND, NO_USER, NO_MOVIE, None),
]
FRAME = pd.DataFrame(
    [
        {"label": label, "user_id": user, "movie_id": movie, "event_timestamp": time}
        for label, (user, movie, time, *_) in enumerate(CASES)
    ]
)
EXPECTED = [(*user, *movie) for *_, user, movie, _ in CASES]
EXPECTED_KNOWN = [known or (*user, *movie) for *_, user, movie, known in CASES]
FEATURE_ORDERS = {
    "movies first": MOVIE_FEATURES + USER_FEATURES,
    "users first": USER_FEATURES + MOVIE_FEATURES,
}


@pytest.fixture(scope="module", params=[OURS, pytest.param("duckdb", marks=needs_ibis)])
def engine(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("contract")
    users = user_view(write(folder / "users.parquet", USERS, USER_SCHEMA))
    movies = movie_view(write(folder / "movies.parquet", MOVIES, MOVIE_SCHEMA))
    return feature_store(folder, users, movies, offline={"type": request.param})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours")
    users = user_view(write(folder / "users.parquet", USERS, USER_SCHEMA))
    movies = movie_view(write(folder / "movies.parquet", MOVIES, MOVIE_SCHEMA))
    return feature_store(folder, users, movies)


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # ibis 12 on duckdb 2.0
@pytest.mark.parametrize("features", FEATURE_ORDERS.values(), ids=FEATURE_ORDERS)
@pytest.mark.parametrize(("known", "expected"), [(False, EXPECTED), (True, EXPECTED_KNOWN)])
def test_contract_all_cases_in_one_frame_give_their_values_in_order(engine, features, known, expected):
    job = engine.get_historical_features(FRAME, features=features, filter_by_created_timestamp=known)

    result = job.to_arrow()

    assert result["label"].to_pylist() == list(range(16))
    assert values(result) == expected


@pytest.mark.parametrize(("known", "expected"), [(False, EXPECTED), (True, EXPECTED_KNOWN)])
def test_contract_each_label_alone_gives_the_same_values(store, known, expected):
    alone = [
        store.get_historical_features(
            FRAME.iloc[[label]], features=MOVIE_FEATURES + USER_FEATURES, filter_by_created_timestamp=known
        ).to_arrow()
        for label in range(16)
    ]

    assert [line for table in alone for line in values(table)] == expected


def test_contract_labels_from_sql_give_the_same_table(store, tmp_path):
    FRAME.to_parquet(tmp_path / "labels.parquet", coerce_timestamps="us")
    query = f"SELECT * FROM read_parquet('{tmp_path / 'labels.parquet'}')"  # noqa: S608  # our own path

    from_sql = store.get_historical_features(query, features=MOVIE_FEATURES + USER_FEATURES).to_arrow()

    from_frame = store.get_historical_features(FRAME, features=MOVIE_FEATURES + USER_FEATURES).to_arrow()
    assert from_sql.equals(from_frame)


def test_contract_shuffled_labels_keep_their_shuffled_order(store):
    shuffled = FRAME.sample(frac=1, random_state=3)

    result = store.get_historical_features(shuffled, features=MOVIE_FEATURES + USER_FEATURES).to_arrow()

    assert result["label"].to_pylist() == shuffled["label"].tolist()
    assert values(result) == [EXPECTED[label] for label in shuffled["label"]]


def test_contract_types_arrive_as_stored_even_with_nulls(store):
    result = store.get_historical_features(FRAME, features=MOVIE_FEATURES + USER_FEATURES).to_arrow()

    assert result.schema.field("u_n").type == pa.int64()
    assert result.schema.field("u_a").type == pa.float32()
    assert result.schema.field("m_s").type == pa.string()
    assert result.schema.field("event_timestamp").type == pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize("chunk_rows", [1, 3, 16])
def test_contract_small_chunks_give_the_same_rows(tmp_path, chunk_rows):
    users = user_view(write(tmp_path / "users.parquet", USERS, USER_SCHEMA))
    movies = movie_view(write(tmp_path / "movies.parquet", MOVIES, MOVIE_SCHEMA))
    store = feature_store(tmp_path, users, movies, offline={"type": OURS, "chunk_rows": chunk_rows})

    result = store.get_historical_features(FRAME, features=USER_FEATURES + MOVIE_FEATURES).to_arrow()

    assert result["label"].to_pylist() == list(range(16))
    assert values(result) == EXPECTED
