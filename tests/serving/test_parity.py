"""What is served is what was measured: the server's lists are those of `marquee evaluate`'s path."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from marquee.adapters.feast.reader import FeastReader
from marquee.data.histories import Queries
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.feature_state import FeatureState
from marquee.features.movie_states import read_movie_states
from marquee.features.request_log import LoggedRequest, read_requests
from marquee.features.user_rows import queries_of
from marquee.monitoring.exposure import Exposure
from marquee.monitoring.exposure_lines import exposure_files, read_exposures
from marquee.packing import Model
from marquee.recommend import Lists, Recommender
from tests.serving.conftest import Server, serving
from tests.small_run import Place, run_here

USERS = [f"u{number:03}" for number in range(75)] + ["a stranger"]
MOMENT, MOMENT_US = "1970-04-11T12:00:00Z", (100 * 24 + 12) * 3_600_000_000
"""Half a day after the movies' state of the bundle, which is of the midnight after the last event."""
N = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parity")


@pytest.fixture(scope="module")
def patient(trained: Place, folder: Path) -> Iterator[Server]:
    """A server that logs each row and waits for the store even on a busy machine."""
    options = ["--user_row_timeout_ms", "10000", "--row_sample", "1", "--row_folder", str(folder / "rows")]
    with serving(trained, folder, *options) as found:
        yield found


def reader_of(place: Place) -> FeastReader:
    return FeastReader(FeatureState.of(place.storage, place.settings, environment={}).open())


def offline(reader: FeastReader, recommender: Recommender, users: list[str]) -> tuple[Queries, Lists]:
    """Queries and lists as evaluation makes them: users and movies by Feast's point-in-time join."""
    time_us = np.full(len(users), MOMENT_US)
    nobody = np.full(len(users), UNKNOWN_INDEX, np.int32)
    rows = reader.users(pl.Series(users), time_us)
    queries = queries_of(rows, user_index=nobody, time_us=time_us, items=recommender.items)
    states = read_movie_states(reader, recommender.items, time_us)
    with threadpool_limits(1, "blas"):
        return queries, recommender.with_states(states).recommend(queries, N)


def test_lists_of_all_users_are_those_of_the_offline_path_item_by_item(trained, patient):
    asks = [{"user_id": user, "n": N, "context": {"timestamp": MOMENT}} for user in USERS]
    served = [
        each
        for at in range(0, len(asks), 38)
        for each in patient.predict(*asks[at : at + 38]).json["predictions"]
    ]

    recommender = Model.read(trained.latest / "bundle").recommender
    queries, lists = offline(reader_of(trained), recommender, USERS)

    assert not any(each["degraded"] for each in served)
    assert (
        [each["history_events"] for each in served] == queries.histories.lengths.tolist() == [30] * 75 + [0]
    )
    for place, each in enumerate(served):
        kept = lists.item_index[place] != UNKNOWN_INDEX
        items = recommender.items.decode(lists.item_index[place][kept])
        assert [item["item_id"] for item in each["items"]] == items, each["user_id"]
        assert [item["score"] for item in each["items"]] == lists.score[place][kept].tolist()
    assert len({tuple(item["item_id"] for item in each["items"]) for each in served}) > 60


def test_movies_state_of_the_server_is_the_offline_one_of_its_moment(trained, engine):
    slot = engine.slots.default

    states = read_movie_states(
        reader_of(trained), slot.answering.recommender.items, np.array([slot.state_as_of_us])
    )

    np.testing.assert_array_equal(states.moments_us, [slot.state_as_of_us])
    np.testing.assert_array_equal(states.matrix, slot.answering.recommender.catalogue.states.matrix)


def test_history_in_the_request_gives_the_list_of_somebody_who_chose_it(patient):
    asks = [
        {"user_id": None, "history": ["m000", "m003", "m000"], "n": N, "context": {"timestamp": MOMENT}},
        {"user_id": "a stranger", "history": ["m000", "m003"], "n": N, "context": {"timestamp": MOMENT}},
        {"user_id": None, "n": N, "context": {"timestamp": MOMENT}},
    ]

    repeated, plain, none = patient.predict(*asks).json["predictions"]

    assert [each["history_events"] for each in (repeated, plain, none)] == [2, 2, 0]
    ids = [[item["item_id"] for item in each["items"]] for each in (repeated, plain, none)]
    assert not {"m000", "m003"} & {*ids[0], *ids[1]}
    assert {"m000", "m003"} & set(ids[2])


def test_rows_that_were_served_are_the_offline_rows_of_their_moments(trained, folder):
    """A server of its own: what it logged is there when it has ended."""
    with serving(
        trained,
        folder,
        "--user_row_timeout_ms",
        "10000",
        "--row_sample",
        "0.7",
        "--row_folder",
        str(folder / "log"),
    ) as server:
        server.predict(*({"user_id": user} for user in USERS[:60]))
        for user in USERS[60:]:
            assert server.predict({"user_id": user}).status == 200
        assert server.stop() == 0
    (log,) = (folder / "log").glob("requests-*.jsonl")
    logged = [each for each in read_requests(log) if isinstance(each, LoggedRequest)]
    assert 30 < len(logged) < 76
    found = [each for file in exposure_files(folder / "exposures") for each in read_exposures(file)]
    shown = {each.request_id: each for each in found if isinstance(each, Exposure)}
    for each in logged:
        assert each.items == tuple(item.item_id for item in shown[each.request_id].items)

    words = [
        "--dataset",
        "folder",
        "--source",
        trained.root / "source",
        "--config",
        trained.root / "recipe.yaml",
    ]
    outcome = run_here("features", "parity", "--log", log, *words, "--json", at=trained)

    assert outcome.code == 0, outcome
    assert outcome.json["requests"] == outcome.json["equal"] == len(logged)
    assert (outcome.json["rejected"], outcome.json["torn"], outcome.json["differing"]) == (0, 0, {})
