"""Results on disk: saved data sets, streamed files and logs of served features."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureService, FileSource
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.feature_logging import LoggingConfig
from feast.infra.offline_stores.file_source import FileLoggingDestination, SavedDatasetFileStorage

from marquee.adapters.feast_offline import AsofOfflineStore
from marquee.errors import ConfigError, SourceError
from tests.marquee.adapters.feast_offline.repository import (
    OURS,
    TIME,
    USER,
    USER_FEATURES,
    USER_SCHEMA,
    day,
    feature_store,
    labels,
    user_row,
    user_view,
    values,
    write,
)

USERS = [user_row(1, 1.0, 10, event=day(1)), user_row(2, 5.0, 50, event=day(3))]
FRAME = labels(*[(user, day(2 + user)) for user in (2, 1, 9, 1, 2)], names=("user_id", "event_timestamp"))
EXPECTED = [(5.0, 50), (1.0, 10), (None, None), (1.0, 10), (5.0, 50)]
U = ("u_a", "u_n")


@pytest.fixture
def store(tmp_path):
    path = write(tmp_path / "u.parquet", USERS, USER_SCHEMA)
    return feature_store(tmp_path, USER, user_view(path), offline={"type": OURS, "chunk_rows": 2})


@pytest.fixture
def job(store):
    return store.get_historical_features(FRAME, USER_FEATURES)


@pytest.mark.filterwarnings("ignore:Saving dataset is an experimental feature:RuntimeWarning")
@pytest.mark.parametrize("address", ["set.parquet", "set", "deep/er/set.parquet"])
def test_saved_dataset_comes_back_row_for_row(store, job, tmp_path, address):
    storage = SavedDatasetFileStorage(str(tmp_path / address))

    saved = store.create_saved_dataset(job, name="set", storage=storage)

    assert (
        values(saved.to_arrow() if hasattr(saved, "to_arrow") else saved._retrieval_job.to_arrow(), U)
        == EXPECTED
    )
    assert values(pq.read_table(tmp_path / address), U) == EXPECTED


def test_persist_keeps_what_is_there_unless_told(job, tmp_path):
    (tmp_path / "set.parquet").write_text("mine")

    with pytest.raises(SavedDatasetLocationAlreadyExists):
        job.persist(SavedDatasetFileStorage(str(tmp_path / "set.parquet")))

    assert (tmp_path / "set.parquet").read_text() == "mine"


def test_persist_told_to_overwrite_replaces_a_file(job, tmp_path):
    (tmp_path / "set.parquet").write_text("mine")

    job.persist(SavedDatasetFileStorage(str(tmp_path / "set.parquet")), allow_overwrite=True)

    assert values(pq.read_table(tmp_path / "set.parquet"), U) == EXPECTED


def test_persist_told_to_overwrite_replaces_all_files_of_a_folder(job, tmp_path):
    write(tmp_path / "set/old.parquet", USERS, USER_SCHEMA)

    job.persist(SavedDatasetFileStorage(str(tmp_path / "set")), allow_overwrite=True)

    assert values(pq.read_table(tmp_path / "set"), U) == EXPECTED


def test_persist_that_fails_half_way_leaves_nothing(store, tmp_path, job, monkeypatch):
    whole = job.chunks

    def torn():
        yield from list(whole())[:2]
        raise SourceError("gone", remedy="retry")

    monkeypatch.setattr(job, "chunks", torn)
    before = sorted(tmp_path.iterdir())

    with pytest.raises(SourceError, match="gone"):
        job.persist(SavedDatasetFileStorage(str(tmp_path / "set.parquet")))

    assert sorted(tmp_path.iterdir()) == before


def test_persist_to_something_else_than_files_is_refused(job):
    class Table(SavedDatasetFileStorage.__mro__[1]):
        def __init__(self):
            pass

        from_proto = to_proto = to_data_source = None

    with pytest.raises(ConfigError, match="is stored as Table"):
        job.persist(Table())


def test_persist_to_a_glob_is_refused(job, tmp_path):
    with pytest.raises(ConfigError, match="is a pattern"):
        job.persist(SavedDatasetFileStorage(str(tmp_path / "set*.parquet")))


def test_stream_writes_microseconds_and_a_row_group_a_chunk(job, tmp_path):
    assert job.to_parquet_stream(tmp_path / "out.parquet") == 5

    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 2, 1]
    assert file.schema_arrow.field("event_timestamp").type == pa.timestamp("us", tz="UTC")
    assert values(file.read(), U) == EXPECTED


def test_stream_to_a_relative_path_lies_in_the_repository(job, tmp_path):
    job.to_parquet_stream("sets/out.parquet")

    assert (tmp_path / "sets/out.parquet").exists()


def test_job_asked_twice_answers_twice(job):
    assert job.to_arrow().equals(job.to_arrow())


@pytest.fixture
def logged(store, tmp_path):
    def service(partition_by=None):
        destination = FileLoggingDestination(path=str(tmp_path / "log"), partition_by=partition_by)
        made = FeatureService(
            name="served",
            features=[store.get_feature_view("user_state")],
            logging_config=LoggingConfig(destination=destination),
        )
        store.apply([made], partial=True)
        return made

    return service


def log_rows(*users):
    return pa.table(
        {
            "user_id": pa.array(users, pa.int64()),
            "user_state__u_a": pa.array([1.0] * len(users), pa.float32()),
            "user_state__u_a__timestamp": pa.array([day(1)] * len(users), TIME),
            "user_state__u_a__status": pa.array([2] * len(users), pa.int32()),
            "user_state__u_n": pa.array([10] * len(users), pa.int64()),
            "user_state__u_n__timestamp": pa.array([day(1)] * len(users), TIME),
            "user_state__u_n__status": pa.array([2] * len(users), pa.int32()),
            "__log_timestamp": pa.array([day(user) for user in users], TIME),
            "__log_date": pa.array([day(user).date() for user in users]),
            "__request_id": pa.array([f"r{user}" for user in users]),
        }
    )


@pytest.mark.parametrize("partition_by", [None, ["__log_date"]])
def test_logged_features_of_several_writes_come_back_by_span(store, logged, partition_by):
    service = logged(partition_by)

    store.write_logged_features(log_rows(1, 2), service)
    store.write_logged_features(log_rows(3), service)

    provider = store._get_provider()
    found = provider.retrieve_feature_service_logs(service, day(2), day(9), store.config, store.registry)
    assert sorted(found.to_arrow()["__request_id"].to_pylist()) == ["r2", "r3"]


def test_logged_features_from_a_folder_of_files_are_taken_over(store, logged, tmp_path):
    (tmp_path / "buffer").mkdir()
    pq.write_table(log_rows(1), tmp_path / "buffer/a.parquet")
    pq.write_table(log_rows(2), tmp_path / "buffer/b.parquet")

    store.write_logged_features(tmp_path / "buffer", logged())

    assert pq.read_table(tmp_path / "log").num_rows == 2


def test_logged_features_to_something_else_than_files_are_refused(store):
    config = LoggingConfig(destination=object.__new__(object.__class__("Queue", (), {})))

    with pytest.raises(ConfigError, match="goes to Queue"):
        AsofOfflineStore.write_logged_features(store.config, log_rows(1), None, config, store.registry)


def test_pull_of_a_source_that_is_gone_is_one_error(store):
    with pytest.raises(SourceError, match="holds no file"):
        AsofOfflineStore.pull_latest_from_table_or_query(
            store.config, FileSource(path="gone.parquet"), [], [], "t", None, day(1), day(2)
        )
