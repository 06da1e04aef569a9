"""The maturity limit of a profile, from the users table to every list of that user."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from marquee import schema
from marquee.data.datasets.own_folder import load_own_folder
from tests.small_run import Place, run_here

CHILD, YOUTH, ADULT, NEWCOMER = "u003", "u004", "u005", "u999"  # of the last there is no event
LIMITS = {CHILD: 12, YOUTH: 18, NEWCOMER: 12}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place whose users have limits."""
    made = Place.made(tmp_path_factory.mktemp("limits"))
    path = made.root / "source" / "users.csv"
    users = pl.read_csv(path)
    limit = pl.col(schema.USER_ID).replace_strict(LIMITS, default=None)
    users = pl.concat([users, pl.DataFrame({schema.USER_ID: [NEWCOMER]})], how="diagonal")
    users.with_columns(limit.alias(schema.MATURITY_LIMIT)).write_csv(path)
    made.train()
    return made


def asked(place: Place, user: str, *more: str) -> dict:
    outcome = run_here("recommend", "--user", user, "-n", "100", "--json", *more, at=place)
    assert outcome.code == 0, outcome
    return outcome.json


def ages(place: Place, answer: dict) -> set[int | None]:
    movies = load_own_folder(place.root / "source", source="test").movies
    assert movies is not None
    known = dict(movies.select(schema.ITEM_ID, schema.MIN_AGE).iter_rows())
    return {known[item["item_id"]] for item in answer["items"]}


@pytest.mark.parametrize(
    ("user", "limit", "more", "shown"),
    [
        (CHILD, 12, [], {12}),
        (YOUTH, 18, [], {12, 18}),
        (ADULT, None, [], {12, 18, None}),
        (NEWCOMER, 12, [], {12}),
        (YOUTH, 12, ["--maturity-limit", "12"], {12}),
        (CHILD, 12, ["--maturity-limit", "18"], {12}),
        (CHILD, 12, ["--history", "m001,m004"], {12}),
        (CHILD, 12, ["--explain"], {12}),
    ],
)
def test_recommend_under_the_limit_of_the_profile_or_a_stricter_one(place, user, limit, more, shown):
    answer = asked(place, user, *more)

    assert answer["maturity_limit"] == limit
    assert ages(place, answer) == shown


def test_recommend_reasons_name_no_movie_that_the_profile_may_not_see(place):
    answer = asked(place, CHILD, "--history", "m001,m004,m000,m002", "--explain")  # from 18, unrated, 12, 12

    named = {item for listed in answer["items"] for item in listed["reason"]["items"]}
    text = " ".join(listed["reason"]["text"] for listed in answer["items"])
    assert named <= {"m000", "m002"}
    assert named
    assert "Movie 1 " not in text
    assert "Movie 4 " not in text


def test_recommend_without_the_store_keeps_the_limit_of_the_warehouse(place, tmp_path: Path):
    bare = Place(tmp_path)
    shutil.copytree(place.settings.data / "warehouse", bare.settings.data / "warehouse")

    child, adult = (
        run_here("recommend", "--user", user, "--runs", place.runs, "-n", "100", "--json", at=bare)
        for user in (CHILD, ADULT)
    )

    assert "no history" in child.err
    assert "no profile" not in child.err
    assert ages(place, child.json) == {12}
    assert None in ages(place, adult.json)


def test_recommend_under_the_rules_of_the_bundle(tmp_path: Path):
    made = Place.made(tmp_path, policy={"min_events": 5, "limit_without_profile": None})
    from marquee.config import TrainingConfig

    made.train(TrainingConfig.from_file(made.root / "recipe.yaml"))
    nobody = run_here("recommend", "--json", "--exclude", "m001,m004", at=made).json
    short = run_here("recommend", "--history", "m001,m004", "--json", at=made).json
    elsewhere = run_here(
        "recommend", "--user", CHILD, "--runs", made.runs, "--json", at=Place(tmp_path / "x")
    )

    assert short["items"] == nobody["items"]
    assert elsewhere.json["maturity_limit"] is None
    assert len(elsewhere.json["items"]) == 12
    assert "no profile" not in elsewhere.err
