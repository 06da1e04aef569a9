"""The store through Feast's own API: what its definitions can say, our store must answer."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import (
    Entity,
    FeatureService,
    FeatureView,
    Field,
    FileSource,
    PushSource,
    RequestSource,
    ValueType,
)
from feast.data_format import DeltaFormat
from feast.data_source import PushMode
from feast.errors import (
    EntityTimestampInferenceException,
    FeastEntityDFMissingColumnsError,
    RequestDataNotFoundInEntityDfException,
)
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float32, Float64, Int64, String
from pyarrow import fs
from pydantic import ValidationError

from marquee.adapters.feast_offline import AsofOfflineStore, AsofOfflineStoreConfig
from marquee.errors import ConfigError, ContractError, SourceError
from tests.marquee.adapters.feast_offline.repository import (
    MOVIE,
    MOVIE_FEATURES,
    MOVIE_SCHEMA,
    OURS,
    TIME,
    USER,
    USER_FEATURES,
    USER_SCHEMA,
    day,
    feature_store,
    labels,
    movie_row,
    movie_view,
    user_row,
    user_view,
    values,
    write,
)

pytestmark = pytest.mark.filterwarnings("ignore:On demand feature view is an experimental:RuntimeWarning")

USERS = [
    user_row(1, 1.0, 10, event=day(1)),
    user_row(1, 2.0, 20, event=day(5)),
    user_row(2, 5.0, 50, event=day(3)),
]
MOVIES = [movie_row(10, 0.1, "x", event=day(2)), movie_row(11, 0.3, "w", event=day(4))]
U = ("u_a", "u_n")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    users = user_view(write(folder / "users.parquet", USERS, USER_SCHEMA))
    movies = movie_view(write(folder / "movies.parquet", MOVIES, MOVIE_SCHEMA))
    return feature_store(folder, USER, MOVIE, users, movies)


def one_user_view(tmp_path, rows=USERS, **options):
    return feature_store(
        tmp_path, USER, user_view(write(tmp_path / "u.parquet", rows, USER_SCHEMA), **options)
    )


def user_labels(*rows):
    return labels(*rows, names=("user_id", "event_timestamp"))


# --- names ------------------------------------------------------------------------------------------


def test_store_full_feature_names_carry_the_view(store):
    frame = labels((1, 10, day(2)))

    result = store.get_historical_features(frame, USER_FEATURES, full_feature_names=True).to_arrow()

    assert result.column_names == [
        "user_id",
        "movie_id",
        "event_timestamp",
        "user_state__u_a",
        "user_state__u_n",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "key",
        "moment",
        "event",
        "created",
        "row",
        "rank",
        "code",
        "0",
        "with space",
        'say "x"',
        "it's",
        "a.b",
        "^.*$",
    ],
)
def test_store_feature_of_any_name_comes_through(tmp_path, name):
    rows = [{"user id": 1, name: 7, "event time": day(1), "made'at": day(1)}]
    path = write(
        tmp_path / "a.parquet",
        rows,
        {"user id": pa.int64(), name: pa.int64(), "event time": TIME, "made'at": TIME},
    )
    view = FeatureView(
        name="view",
        entities=[Entity(name="user", join_keys=["user id"], value_type=ValueType.INT64)],
        schema=[Field(name=name, dtype=Int64)],
        source=FileSource(path=path, timestamp_field="event time", created_timestamp_column="made'at"),
    )
    store = feature_store(
        tmp_path, *[Entity(name="user", join_keys=["user id"], value_type=ValueType.INT64)], view
    )
    frame = labels((1, day(2)), names=("user id", "event_timestamp"))

    for known in (False, True):
        job = store.get_historical_features(frame, [f"view:{name}"], filter_by_created_timestamp=known)
        assert job.to_arrow()[name].to_pylist() == [7]


def test_store_field_mapping_reads_the_stored_names(tmp_path):
    rows = [{"uid": 1, "a": 1.5, "at": day(1), "made": day(1)}]
    path = write(
        tmp_path / "a.parquet", rows, {"uid": pa.int64(), "a": pa.float32(), "at": TIME, "made": TIME}
    )
    view = FeatureView(
        name="view",
        entities=[USER],
        schema=[Field(name="user_id", dtype=Int64), Field(name="score", dtype=Float32)],
        source=FileSource(
            path=path,
            timestamp_field="event_timestamp",
            created_timestamp_column="created",
            field_mapping={"uid": "user_id", "a": "score", "at": "event_timestamp", "made": "created"},
        ),
    )
    store = feature_store(tmp_path, USER, view)

    result = store.get_historical_features(user_labels((1, day(2))), ["view:score"]).to_arrow()
    store.materialize(day(1), day(2))

    assert result["score"].to_pylist() == [1.5]
    online = store.get_online_features(["view:score"], [{"user_id": 1}]).to_dict()
    assert online["score"] == [1.5]


def test_store_one_entity_used_twice_joins_each_by_its_own_key(store):
    view = store.get_feature_view("user_state")
    service = FeatureService(
        name="friends",
        features=[
            view.with_name("viewer").with_join_key_map({"user_id": "viewer_id"}),
            view.with_name("friend").with_join_key_map({"user_id": "friend_id"}),
        ],
    )
    frame = labels((1, 2, day(4)), (2, 1, day(5)), names=("viewer_id", "friend_id", "event_timestamp"))
    store.apply([service], partial=True)

    result = store.get_historical_features(frame, service, full_feature_names=True).to_arrow()

    assert result["viewer__u_n"].to_pylist() == [10, 50]
    assert result["friend__u_n"].to_pylist() == [50, 20]


def test_store_label_column_called_like_a_feature_is_refused(store):
    frame = user_labels((1, day(2))).assign(u_a=0.0)

    with pytest.raises(ContractError, match="would be called 'u_a'"):
        store.get_historical_features(frame, USER_FEATURES)


def test_store_label_column_called_like_a_feature_is_kept_beside_its_full_name(store):
    frame = user_labels((1, day(2))).assign(u_a=0.5)

    result = store.get_historical_features(frame, USER_FEATURES, full_feature_names=True).to_arrow()

    assert result["u_a"].to_pylist() == [0.5]
    assert result["user_state__u_a"].to_pylist() == [1.0]


# --- label frames -----------------------------------------------------------------------------------


def test_store_time_column_of_another_name_is_found_and_kept(store):
    frame = labels((1, day(2)), names=("user_id", "asked at"))

    result = store.get_historical_features(frame, USER_FEATURES).to_arrow()

    assert result.column_names == ["user_id", "asked at", "u_a", "u_n"]
    assert values(result, U) == [(1.0, 10)]


@pytest.mark.parametrize("time", ["2026-01-05", "2026-01-05T00:00:00Z", datetime(2026, 1, 5)])  # noqa: DTZ001
def test_store_strings_and_naive_times_mean_utc(store, time):
    result = store.get_historical_features(user_labels((1, time)), USER_FEATURES).to_arrow()

    assert values(result, U) == [(2.0, 20)]
    assert result["event_timestamp"].to_pylist() == [day(5)]


def test_store_null_key_keeps_its_row_and_gets_nothing(store):
    frame = pd.DataFrame({"user_id": [None, 1, None], "event_timestamp": [day(5)] * 3})

    result = store.get_historical_features(frame, USER_FEATURES).to_arrow()

    assert values(result, U) == [(None, None), (2.0, 20), (None, None)]


def test_store_empty_frame_gives_an_empty_table_with_all_columns(store):
    frame = labels((1, 10, day(2))).head(0)

    result = store.get_historical_features(frame, USER_FEATURES + MOVIE_FEATURES).to_arrow()

    assert result.num_rows == 0
    assert result.column_names == ["user_id", "movie_id", "event_timestamp", "u_a", "u_n", "m_a", "m_s"]
    assert result.schema.field("u_n").type == pa.int64()


def test_store_duplicated_labels_all_stay(store):
    frame = user_labels(*[(1, day(2))] * 5)

    assert values(store.get_historical_features(frame, USER_FEATURES).to_arrow(), U) == [(1.0, 10)] * 5


def test_store_missing_key_is_named(store):
    with pytest.raises(FeastEntityDFMissingColumnsError, match="movie_id"):
        store.get_historical_features(user_labels((1, day(2))), MOVIE_FEATURES)


def test_store_frame_without_a_time_is_refused(store):
    with pytest.raises(EntityTimestampInferenceException):
        store.get_historical_features(pd.DataFrame({"user_id": [1]}), USER_FEATURES)


def test_store_key_of_another_type_is_refused(store):
    job = store.get_historical_features(user_labels(("1", day(2))), USER_FEATURES)

    with pytest.raises(ContractError, match="'user_id' of view 'user_state' is a string"):
        job.to_arrow()


def test_store_metadata_tells_keys_and_span_of_times(store):
    job = store.get_historical_features(labels((1, 10, day(5)), (1, 10, day(2))), USER_FEATURES)

    assert job.metadata.keys == ["user_id", "movie_id"]
    assert job.metadata.features == USER_FEATURES
    assert (job.metadata.min_event_timestamp, job.metadata.max_event_timestamp) == (day(2), day(5))


def test_store_to_df_has_the_rows_of_to_arrow(store):
    job = store.get_historical_features(labels((1, 10, day(5)), (2, 11, day(2))), USER_FEATURES)

    assert job.to_df()["u_n"].tolist()[0] == job.to_arrow()["u_n"].to_pylist()[0] == 20


def test_store_to_sql_says_that_there_is_none(store):
    with pytest.raises(NotImplementedError, match="without SQL"):
        store.get_historical_features(user_labels((1, day(2))), USER_FEATURES).to_sql()


# --- time to live and created -----------------------------------------------------------------------


@pytest.mark.parametrize("ttl", [None, timedelta(0)])
def test_store_no_ttl_keeps_values_for_ever(tmp_path, ttl):
    store = one_user_view(tmp_path, ttl=ttl)

    result = store.get_historical_features(user_labels((1, datetime(2090, 1, 1, tzinfo=UTC))), USER_FEATURES)

    assert values(result.to_arrow(), U) == [(2.0, 20)]


def test_store_ttl_below_a_second_is_kept_to_the_microsecond(tmp_path):
    ttl = timedelta(milliseconds=250)
    store = one_user_view(tmp_path, ttl=ttl)
    frame = user_labels((1, day(5) + ttl), (1, day(5) + ttl + timedelta(microseconds=1)))

    result = store.get_historical_features(frame, USER_FEATURES).to_arrow()

    assert values(result, U) == [(2.0, 20), (None, None)]


def test_store_expired_value_does_not_uncover_an_older_one(tmp_path):
    store = one_user_view(tmp_path, ttl=timedelta(days=1))

    result = store.get_historical_features(user_labels((1, day(6.5))), USER_FEATURES).to_arrow()

    assert values(result, U) == [(None, None)]


def test_store_source_without_created_column_is_not_filtered_by_it(tmp_path):
    store = one_user_view(tmp_path, created="")

    job = store.get_historical_features(
        user_labels((1, day(1))), USER_FEATURES, filter_by_created_timestamp=True
    )

    assert values(job.to_arrow(), U) == [(1.0, 10)]


def test_store_late_row_with_an_older_event_does_not_replace_a_newer_one(tmp_path):
    late = user_row(1, 9.0, 90, event=day(4), created=day(7))
    store = one_user_view(tmp_path, [*USERS, late])

    job = store.get_historical_features(
        user_labels((1, day(8))), USER_FEATURES, filter_by_created_timestamp=True
    )

    assert values(job.to_arrow(), U) == [(2.0, 20)]


# --- sources ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["users", "users/*/*.parquet", "users/**/*.parquet"])
def test_store_folders_by_date_and_globs_are_read_whole(tmp_path, address):
    for row in USERS:
        name = f"users/day={row['event_timestamp']:%Y-%m-%d}/part.parquet"
        write(tmp_path / name, [row], USER_SCHEMA)
    store = feature_store(tmp_path, USER, user_view(address))

    result = store.get_historical_features(user_labels((1, day(4)), (1, day(5)), (2, day(4))), USER_FEATURES)

    assert values(result.to_arrow(), U) == [(1.0, 10), (2.0, 20), (5.0, 50)]


def test_store_s3_is_read_and_written_through_arrows_client(tmp_path, monkeypatch):
    calls = []

    def client(**options):
        calls.append(options)
        return fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())

    monkeypatch.setattr(fs, "S3FileSystem", client)
    write(tmp_path / "bucket/users.parquet", USERS, USER_SCHEMA)
    view = user_view("s3://bucket/users.parquet", s3_endpoint_override="http://store:9000")
    store = feature_store(tmp_path, USER, view)
    job = store.get_historical_features(user_labels((1, day(5))), USER_FEATURES)

    job.to_parquet_stream("s3://bucket/out/set.parquet")

    assert values(pq.read_table(tmp_path / "bucket/out/set.parquet"), U) == [(2.0, 20)]
    assert calls[0]["endpoint_override"] == "store:9000"


def test_store_source_that_is_gone_is_one_error(tmp_path):
    store = one_user_view(tmp_path)
    (tmp_path / "u.parquet").unlink()

    with pytest.raises(SourceError, match="holds no file"):
        store.get_historical_features(user_labels((1, day(2))), USER_FEATURES)


def test_store_source_that_lost_a_column_is_one_error(tmp_path):
    store = one_user_view(tmp_path)
    pq.write_table(pq.read_table(tmp_path / "u.parquet").drop_columns(["u_n"]), tmp_path / "u.parquet")

    with pytest.raises(ContractError, match="'u_n', which feature view 'user_state' names"):
        store.get_historical_features(user_labels((1, day(2))), USER_FEATURES)


def test_store_source_of_another_format_is_refused(tmp_path):
    store = one_user_view(tmp_path, file_format=DeltaFormat())

    with pytest.raises(ConfigError, match="DeltaFormat"):
        store.get_historical_features(user_labels((1, day(2))), USER_FEATURES)


def test_store_validates_a_source_by_its_time_columns(tmp_path):
    store = one_user_view(tmp_path)
    path = str(tmp_path / "u.parquet")

    AsofOfflineStore().validate_data_source(store.config, FileSource(path=path, timestamp_field="created"))
    with pytest.raises(ContractError, match="'seen_at'"):
        AsofOfflineStore().validate_data_source(
            store.config, FileSource(path=path, timestamp_field="seen_at")
        )


def test_store_tells_columns_and_types_of_a_glob(tmp_path):
    store = one_user_view(tmp_path)
    source = FileSource(path=str(tmp_path / "*.parquet"), timestamp_field="created")

    found = AsofOfflineStore().get_table_column_names_and_types_from_data_source(store.config, source)

    assert list(found)[:2] == [("user_id", "int64"), ("u_a", "float")]


def test_store_option_that_does_not_exist_is_refused():
    with pytest.raises(ValidationError, match="chunks"):
        AsofOfflineStoreConfig(type=OURS, chunks=3)


# --- on-demand and entityless views -----------------------------------------------------------------


def on_demand(view):
    request = RequestSource(name="asked", schema=[Field(name="hour", dtype=Int64)])

    @on_demand_feature_view(
        sources=[view, request], schema=[Field(name="at_hour", dtype=Float64)], mode="pandas", name="context"
    )
    def context(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"at_hour": inputs["u_n"] * 100.0 + inputs["hour"]})

    return context


@pytest.fixture
def store_on_demand(tmp_path):
    view = user_view(write(tmp_path / "u.parquet", USERS, USER_SCHEMA))
    return feature_store(tmp_path, USER, view, on_demand(view), offline={"type": OURS, "chunk_rows": 2})


ASKED = user_labels((1, day(2)), (1, day(5)), (2, day(5))).assign(hour=[1, 2, 3])


def test_store_on_demand_view_is_computed_on_each_row(store_on_demand):
    job = store_on_demand.get_historical_features(ASKED, ["user_state:u_n", "context:at_hour"])

    assert job.to_arrow()["at_hour"].to_pylist() == [1001, 2002, 5003]


def test_store_on_demand_view_is_streamed_too(store_on_demand, tmp_path):
    job = store_on_demand.get_historical_features(ASKED, ["user_state:u_n", "context:at_hour"])

    assert job.to_parquet_stream(tmp_path / "out.parquet") == 3

    assert pq.read_table(tmp_path / "out.parquet").equals(job.to_arrow())


def test_store_on_demand_input_that_is_missing_is_named_for_sql_too(store_on_demand):
    query = "SELECT 1 AS user_id, TIMESTAMP '2026-01-02' AS event_timestamp"

    with pytest.raises(RequestDataNotFoundInEntityDfException, match="hour"):
        store_on_demand.get_historical_features(query, ["context:at_hour"])


@pytest.fixture
def store_entityless(tmp_path):
    rows = [{"events": 7, "at": day(3)}, {"events": 5, "at": day(1)}]  # stored in no order of time
    path = write(tmp_path / "site.parquet", rows, {"events": pa.int64(), "at": TIME})
    view = FeatureView(
        name="site",
        entities=[],
        schema=[Field(name="events", dtype=Int64)],
        source=FileSource(path=path, timestamp_field="at"),
    )
    return feature_store(tmp_path, USER, view, user_view(write(tmp_path / "u.parquet", USERS, USER_SCHEMA)))


def test_store_view_without_entities_answers_each_label_by_time_alone(store_entityless):
    frame = pd.DataFrame({"event_timestamp": [day(4), day(2), day(0.5)]})

    result = store_entityless.get_historical_features(frame, ["site:events"]).to_arrow()

    assert result["events"].to_pylist() == [7, 5, None]


@pytest.mark.parametrize("pull_latest", [False, True])
def test_store_view_without_entities_is_materialised(store_entityless, pull_latest):
    store_entityless.config.materialization_config.pull_latest_features = pull_latest

    store_entityless.materialize(day(1), day(4))

    # Feast wants at least one key in a request
    online = store_entityless.get_online_features(["site:events", "user_state:u_n"], [{"user_id": 2}])
    assert online.to_dict() == {"user_id": [2], "events": [7], "u_n": [50]}


def test_store_view_without_entities_needs_no_frame(store_entityless):
    result = store_entityless.get_historical_features(
        None, ["site:events"], start_date=day(1), end_date=day(2)
    )

    assert result.to_arrow().to_pydict() == {"event_timestamp": [day(2)], "events": [5]}


# --- without a label frame --------------------------------------------------------------------------


def test_store_without_a_frame_gives_every_key_seen_in_the_span_as_of_its_end(store):
    job = store.get_historical_features(features=USER_FEATURES, start_date=day(2), end_date=day(4))

    result = job.to_arrow()

    assert result["user_id"].to_pylist() == [2]  # user 1 has no event from day 2 to day 4
    assert result["event_timestamp"].to_pylist() == [day(4)]
    assert values(result, U) == [(5.0, 50)]


def test_store_without_a_frame_views_of_different_entities_give_rows_of_their_own(store):
    job = store.get_historical_features(
        features=USER_FEATURES + MOVIE_FEATURES, start_date=day(1), end_date=day(4)
    )

    result = job.to_arrow().to_pydict()

    assert list(zip(result["user_id"], result["movie_id"], result["u_n"], result["m_s"], strict=True)) == [
        (1, None, 10, None),
        (2, None, 50, None),
        (None, 10, None, "x"),
        (None, 11, None, "w"),
    ]


def test_store_without_a_frame_and_events_gives_no_rows(store):
    job = store.get_historical_features(features=USER_FEATURES, start_date=day(7), end_date=day(8))

    assert job.to_arrow().num_rows == 0


# --- materialisation, pushes and logs ---------------------------------------------------------------


@pytest.mark.parametrize("pull_latest", [False, True])
def test_store_materialised_values_are_those_of_the_join_at_the_end(tmp_path, pull_latest):
    store = one_user_view(tmp_path, [USERS[1], USERS[2], USERS[0], user_row(1, 0.5, 5, event=day(0.5))])
    store.config.materialization_config.pull_latest_features = pull_latest

    store.materialize(day(0), day(4))

    online = store.get_online_features(USER_FEATURES, [{"user_id": 1}, {"user_id": 2}]).to_dict()

    offline = store.get_historical_features(user_labels((1, day(4)), (2, day(4))), USER_FEATURES).to_arrow()
    assert (
        list(zip(online["u_a"], online["u_n"], strict=True)) == values(offline, U) == [(1.0, 10), (5.0, 50)]
    )


def test_store_written_rows_are_joined_and_a_correction_wins(tmp_path):
    store = one_user_view(tmp_path)
    correction = pd.DataFrame([user_row(1, 2.5, 25, event=day(5), created=day(6))])

    store.write_to_offline_store("user_state", correction)

    result = store.get_historical_features(user_labels((1, day(7)), (2, day(7))), USER_FEATURES).to_arrow()
    assert values(result, U) == [(2.5, 25), (5.0, 50)]


def test_store_pushed_rows_reach_the_files(tmp_path):
    path = write(tmp_path / "u.parquet", USERS, USER_SCHEMA)
    view = user_view(path)
    view = FeatureView(
        name="user_state",
        entities=[USER],
        schema=view.schema,
        source=PushSource(name="user_push", batch_source=view.batch_source),
    )
    store = feature_store(tmp_path, USER, view)

    store.push("user_push", pd.DataFrame([user_row(3, 7.0, 70, event=day(6))]), to=PushMode.OFFLINE)

    result = store.get_historical_features(user_labels((3, day(7))), USER_FEATURES).to_arrow()
    assert values(result, U) == [(7.0, 70)]


def test_store_progress_is_told_the_rows_written(tmp_path):
    store = one_user_view(tmp_path)
    told = []

    AsofOfflineStore.offline_write_batch(
        store.config,
        store.get_feature_view("user_state"),
        pa.Table.from_pylist(USERS[:2], pa.schema(USER_SCHEMA)),
        told.append,
    )

    assert told == [2]
    assert pq.read_table(tmp_path / "u.parquet").num_rows == 5


def test_store_key_types_of_strings_join(tmp_path):
    rows = [{"name": "ann", "score": 1, "at": day(1)}]
    path = write(tmp_path / "a.parquet", rows, {"name": pa.string(), "score": pa.int64(), "at": TIME})
    person = Entity(name="person", join_keys=["name"], value_type=ValueType.STRING)
    view = FeatureView(
        name="person_state",
        entities=[person],
        schema=[Field(name="name", dtype=String), Field(name="score", dtype=Int64)],
        source=FileSource(path=path, timestamp_field="at"),
    )
    store = feature_store(tmp_path, person, view)
    frame = labels(("bob", day(2)), ("ann", day(2)), (None, day(2)), names=("name", "event_timestamp"))

    result = store.get_historical_features(frame, ["person_state:score"]).to_arrow()

    assert result["score"].to_pylist() == [None, 1, None]
