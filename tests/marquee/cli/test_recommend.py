import re
from pathlib import Path

import pytest

from marquee.data.datasets.own_folder import load_own_folder
from tests.small_run import Place, Shell, run_here

USER = "u003"  # of the taste for Action: items whose number leaves 0 over 3
ITEM_KEYS = {"rank", "item_id", "title", "year", "genres", "score"}


def watched(trained: Place, user: str) -> set[str]:
    lines = (trained.root / "source" / "events.csv").read_text(encoding="utf-8").splitlines()
    return {line.split(",")[1] for line in lines if line.startswith(f"{user},")}


def min_ages(trained: Place) -> dict[str, int | None]:
    movies = load_own_folder(trained.root / "source", source="test").movies
    assert movies is not None
    return dict(movies.select("item_id", "min_age").iter_rows())


def ids(items: list[dict[str, object]]) -> list[str]:
    return [str(item["item_id"]) for item in items]


def test_recommend_json_for_a_known_user_has_the_promised_keys(shell: Shell, trained: Place):
    answer = shell("recommend", "--user", USER, "--json").json

    assert answer.keys() == {"user_id", "basis", "maturity_limit", "bundle_id", "items"}
    assert answer["maturity_limit"] is None
    assert answer["user_id"] == USER
    assert answer["bundle_id"] == trained.bundle_id()
    assert answer["basis"] == "after 30 events"
    assert len(answer["items"]) == 12
    assert all(item.keys() == ITEM_KEYS | {"stars"} for item in answer["items"])
    assert all(2 <= item["stars"] <= 5 for item in answer["items"])  # the ratings of `taste_groups`
    assert [item["rank"] for item in answer["items"]] == list(range(1, 13))
    assert [item["score"] for item in answer["items"]] == sorted(
        (item["score"] for item in answer["items"]), reverse=True
    )


def test_recommend_for_a_known_user_shows_nothing_watched_and_their_taste(shell: Shell, trained: Place):
    items = shell("recommend", "--user", USER, "--json").json["items"]

    assert set(ids(items)).isdisjoint(watched(trained, USER))
    assert len(set(ids(items))) == 12
    assert items[0]["genres"] == ["Action"]


def test_recommend_with_a_history_follows_it_and_overrides_the_warehouse(shell: Shell):
    of_comedy = ["m001", "m004", "m007", "m010"]

    answer = shell("recommend", "--user", USER, "--history", ",".join(of_comedy), "--json").json

    assert answer["basis"] == "after the 4 given events"
    assert answer["items"][0]["genres"] == ["Comedy"]
    assert set(ids(answer["items"])).isdisjoint(of_comedy)


def test_recommend_with_a_title_in_the_history_takes_it_for_its_item(shell: Shell):
    by_id = shell("recommend", "--history", "m001,m004", "--json").json
    by_title = shell("recommend", "--history", "movie 1, Movie 4", "--json").json

    assert by_title == by_id


def test_recommend_for_nobody_is_the_list_for_everybody(shell: Shell):
    nobody = shell("recommend", "--json").json
    stranger = shell("recommend", "--user", "never-seen", "--json").json

    assert nobody["user_id"] is None
    assert "without history" in nobody["basis"]
    assert stranger == {**nobody, "user_id": "never-seen"}


def test_recommend_with_exclude_leaves_those_out_and_fills_up(shell: Shell):
    before = ids(shell("recommend", "--json", "-n", "5").json["items"])
    after = ids(
        shell("recommend", "--json", "-n", "5", "--exclude", f"{before[0]},{before[2]}").json["items"]
    )

    assert set(after).isdisjoint({before[0], before[2]})
    assert after[:3] == [before[1], before[3], before[4]]
    assert len(after) == 5


@pytest.mark.parametrize("limit", [11, 12, 17, 18])
def test_recommend_under_a_maturity_limit_shows_only_what_is_known_to_suit(
    shell: Shell, trained: Place, limit: int
):
    known = min_ages(trained)
    shown = ids(
        shell("recommend", "--user", USER, "--maturity-limit", limit, "-n", "100", "--json").json["items"]
    )

    ages = [known[item] for item in shown]
    assert all(age is not None and age <= limit for age in ages)
    assert bool(shown) == (limit >= 12)


def test_recommend_beyond_what_may_be_shown_says_how_many_are_left(shell: Shell):
    outcome = shell("recommend", "--maturity-limit", "11")

    assert outcome.code == 0
    assert "0 of 12" in outcome.err


@pytest.mark.parametrize("n", ["0", "101", "-3"])
@pytest.mark.parametrize("command", [["recommend"], ["similar", "m001"]], ids=lambda words: words[0])
def test_list_with_n_out_of_range_names_option_value_and_range(shell: Shell, command: list[str], n: str):
    shell(*command, f"-n{n}").require_error("-n", n, "1 to 100")


def test_list_with_a_maturity_limit_out_of_range_is_refused(shell: Shell):
    shell("recommend", "--maturity-limit", "99").require_error("--maturity-limit", "99", "0 to 21")


def test_list_with_n_that_is_no_number_is_a_usage_error(shell: Shell):
    outcome = shell("recommend", "-nmany")

    assert outcome.code == 2
    assert "Invalid value for '-n'" in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["similar", "m999"],
        ["recommend", "--history", "m001,m999"],
        ["recommend", "--exclude", "m999"],
    ],
)
def test_list_with_an_unknown_item_names_it(shell: Shell, arguments: list[str]):
    shell(*arguments).require_error("'m999'")


def test_similar_to_a_title_with_its_year_finds_it_as_the_lists_show_it(shell: Shell):
    shown = shell("similar", "m001", "--json").json["item"]

    answer = shell("similar", f"{shown['title']} ({shown['year']})", "--json").json

    assert answer["item"] == shown


def test_similar_to_an_ambiguous_title_names_some_of_those_it_fits(shell: Shell):
    shell("similar", "movie").require_error("'movie' fits 90 items", "m000 Movie 0 (1930)", "id")


def test_similar_to_a_whole_title_prefers_it_over_longer_ones(shell: Shell):
    assert shell("similar", "Movie 8", "--json").json["item"]["item_id"] == "m008"


def test_similar_json_has_the_promised_keys_and_not_the_item_itself(shell: Shell, trained: Place):
    answer = shell("similar", "m001", "-n", "5", "--json").json

    assert answer.keys() == {"item", "bundle_id", "items"}
    assert answer["item"]["title"] == "Movie 1"
    assert answer["bundle_id"] == trained.bundle_id()
    assert len(answer["items"]) == 5
    assert "m001" not in ids(answer["items"])
    assert all(item.keys() == ITEM_KEYS for item in answer["items"])


def test_recommend_from_a_run_folder_given_by_path_reads_its_bundle(shell: Shell, trained: Place):
    run = trained.latest.resolve()

    assert shell("recommend", "--bundle", run, "--json").json == shell("recommend", "--json").json


@pytest.mark.parametrize("limit", [12, 18])
def test_similar_under_a_maturity_limit_shows_only_what_is_known_to_suit(
    shell: Shell, trained: Place, limit: int
):
    known = min_ages(trained)

    items = shell("similar", "m000", "--maturity-limit", limit, "-n", "100", "--json").json["items"]

    assert items
    assert all(known[item] is not None and known[item] <= limit for item in ids(items))


def test_similar_with_exclude_leaves_those_out_and_fills_up(shell: Shell):
    before = ids(shell("similar", "m001", "-n", "4", "--json").json["items"])
    after = ids(
        shell("similar", "m001", "-n", "4", "--exclude", f"{before[0]},{before[2]}", "--json").json["items"]
    )

    assert after[:2] == [before[1], before[3]]
    assert len(set(after) - {before[0], before[2]}) == 4


@pytest.mark.parametrize("item", ["m001", "m004", "Movie 1", "Movie 4"])  # from 18 years, and unrated
def test_similar_to_what_the_limit_hides_is_refused_without_a_word_of_it(shell: Shell, item: str):
    shell("similar", item, "--maturity-limit", "12").require_error(f"'{item}'", "limit 12")


def test_similar_to_an_ambiguous_title_under_a_limit_names_only_what_suits(shell: Shell, trained: Place):
    known = min_ages(trained)

    outcome = shell("similar", "movie", "--maturity-limit", "12")

    named = set(re.findall(r"m\d{3}", outcome.err))
    outcome.require_error("'movie' fits 90 items")
    assert len(named) == 5
    assert {known[item] for item in named} == {12}


def test_recommend_with_explain_gives_each_item_a_reason_of_the_history(shell: Shell):
    history = ["m001", "m004", "m007", "m010"]

    items = shell("recommend", "--history", ",".join(history), "--explain", "--json").json["items"]

    assert all(item.keys() == ITEM_KEYS | {"stars", "reason"} for item in items)
    reasons = [item["reason"] for item in items]
    assert all(reason.keys() == {"text", "basis", "items", "drop", "shared"} for reason in reasons)
    assert {name for reason in reasons for name in reason["items"]} <= set(history)
    of_one = [reason for reason in reasons if reason["basis"] == "watched"]
    assert of_one
    for reason in of_one:
        number = int(reason["items"][0][1:])
        assert f"because you watched Movie {number} (" in reason["text"]
        assert reason["drop"] > 0
    assert any(reason["shared"]["directors"] or reason["shared"]["cast"] for reason in of_one)


def test_recommend_with_explain_says_it_in_words_under_the_list(shell: Shell):
    explained = shell("recommend", "--history", "m001,m004", "--explain", "-n", "3")
    plain = shell("recommend", "--history", "m001,m004", "-n", "3")

    assert explained.out.startswith(plain.out.rstrip())
    lines = explained.out[len(plain.out.rstrip()) :].strip().splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]


def test_recommend_with_contributions_names_features_strongest_first(shell: Shell):
    items = shell("recommend", "--history", "m001,m004", "--contributions", "--json").json["items"]

    for item in items:
        adds = list(item["reason"]["contributions"].values())
        assert 0 < len(adds) <= 5
        assert [abs(value) for value in adds] == sorted(map(abs, adds), reverse=True)


def test_recommend_for_nobody_with_explain_is_for_everybody(shell: Shell):
    items = shell("recommend", "--explain", "--json").json["items"]

    assert {item["reason"]["basis"] for item in items} <= {
        "popular", "popular_now", "acclaimed", "moment", "movie", "everybody",
    }  # fmt: skip
    assert all(item["reason"]["drop"] is None and item["reason"]["items"] == [] for item in items)


def test_recommend_without_store_and_warehouse_says_so_and_answers_with_what_suits_all(
    trained: Place, tmp_path: Path
):
    elsewhere = Place(tmp_path)

    named = run_here("recommend", "--user", USER, "--runs", trained.runs, "--json", at=elsewhere)
    unnamed = run_here("recommend", "--runs", trained.runs, "--json", at=elsewhere)

    assert named.code == unnamed.code == 0
    assert "no history" in named.err
    assert "no profile" in named.err
    assert "without history" in named.json["basis"]
    assert named.json["maturity_limit"] == 0
    assert named.json["items"] == []  # nothing in this catalogue suits everybody
    assert len(unnamed.json["items"]) == 12


def test_recommend_twice_is_the_same_list(shell: Shell):
    first, second = (shell("recommend", "--user", USER, "--json").json for _ in range(2))

    assert first == second
