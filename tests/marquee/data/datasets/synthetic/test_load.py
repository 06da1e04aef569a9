from datetime import UTC, datetime

import pytest

from marquee.data.datasets.raw import ignore_progress
from marquee.data.datasets.synthetic.config import SyntheticConfig
from marquee.data.datasets.synthetic.load import load_synthetic
from marquee.data.ingest import IngestConfig, ingest_interactions
from marquee.data.warehouse import Warehouse
from marquee.errors import DatasetUnavailableError

CONFIG = SyntheticConfig(n_events=3_000, n_users=50, n_items=40, days=10)


def bytes_of(data):
    return [path.read_bytes() for path in data.interactions]


def test_load_synthetic_twice_writes_the_same_bytes(tmp_path):
    first = load_synthetic(CONFIG, cache=tmp_path / "a", on_progress=ignore_progress)
    second = load_synthetic(CONFIG, cache=tmp_path / "b", on_progress=ignore_progress)

    assert bytes_of(first) == bytes_of(second)
    assert first.movies.equals(second.movies)
    assert first.users.equals(second.users)


def test_load_synthetic_again_reads_the_cache(tmp_path):
    load_synthetic(CONFIG, cache=tmp_path, on_progress=ignore_progress)

    def must_not_generate(*_args):
        pytest.fail("generated again")

    load_synthetic(CONFIG, cache=tmp_path, on_progress=must_not_generate)


def test_load_synthetic_over_a_spoilt_part_makes_it_anew(tmp_path):
    data = load_synthetic(CONFIG, cache=tmp_path, on_progress=ignore_progress)
    whole = bytes_of(data)
    data.interactions[0].write_bytes(whole[0][:-1])

    assert bytes_of(load_synthetic(CONFIG, cache=tmp_path, on_progress=ignore_progress)) == whole


def test_load_synthetic_that_is_interrupted_leaves_nothing(tmp_path):
    def interrupt(*_args):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_synthetic(CONFIG, cache=tmp_path, on_progress=interrupt)

    assert list((tmp_path / "synthetic").iterdir()) == []


def test_load_synthetic_into_a_file_instead_of_a_folder_is_one_error(tmp_path):
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(DatasetUnavailableError, match="synthetic can't be written"):
        load_synthetic(CONFIG, cache=tmp_path / "cache", on_progress=ignore_progress)


def test_load_synthetic_passes_the_contract_whole(tmp_path):
    data = load_synthetic(CONFIG, cache=tmp_path / "cache", on_progress=ignore_progress)

    report = ingest_interactions(
        data.interactions,
        data.mapping,
        Warehouse(tmp_path / "warehouse"),
        config=IngestConfig(),
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )

    assert (report.read, report.new, report.duplicate, report.quarantined) == (3_000, 3_000, 0, 0)
