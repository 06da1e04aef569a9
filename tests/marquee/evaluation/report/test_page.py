"""The page: whole, self-contained, safe; its numbers are those of the run."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marquee.evaluation.report import render_evaluation
from marquee.evaluation.report.measured import PARTS
from tests.marquee.evaluation.report.material import MODELS, run_metrics
from tests.marquee.features.report.test_page import checked

HOSTILE = '<script>alert("1")</script>&\'"{{ 1 }}'
PLACES = [place for place, _ in PARTS.values()]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def words_of(metrics: dict[str, Any], **more: Any) -> list[str]:
    page = checked(render_evaluation(metrics, run="run-1", **more))
    return [word.strip() for word in page.words if word.strip()]


def renamed(value: Any, old: str, new: str) -> Any:
    return json.loads(json.dumps(value).replace(json.dumps(old), json.dumps(new)))


def test_page_of_a_whole_run_shows_every_section_and_fetches_nothing():
    text = render_evaluation(run_metrics(), run="run-1")

    page = checked(text)
    assert len(text) < 1_000_000
    assert "http" not in text
    assert "src=" not in text
    assert {
        "attention",
        "models",
        "differences",
        "slices",
        "recall",
        "ranker",
        "lists",
        "stages",
        "data",
    } == set(page.ids)
    assert "left out" not in text


def test_page_numbers_are_those_of_the_metrics():
    metrics = run_metrics()

    words = words_of(metrics)

    for model in MODELS:
        assert model in words
        for value in metrics["models"][model].values():
            assert f"{value:.4f}" in words, (model, value)
        interval = metrics["intervals"][model]["ndcg@10"]
        assert f"{interval['low']:.4f} to {interval['high']:.4f}" in words
    assert {"+0.1125", "+31.2 %"} <= set(words)  # difference and lift over ease
    assert {"0.4525", "+0.0500", "172"} <= set(words)  # of cold users
    assert {"0.7675", "245", "943", "100,000", "12.2", "1,148"} <= set(words)


def test_page_headline_names_verdict_lift_and_reasons():
    text = " ".join(words_of(run_metrics()))

    assert "gate passed" in text
    assert "two_stage reaches NDCG@10 0.4125 (0.3925 to 0.4325)" in text
    assert "+31.2 % over ease, the best single route" in text
    assert "245 aligned queries." in text
    assert "Nothing: every check passed" in text


def test_page_of_a_refused_run_says_why_first():
    failed = {"name": "x", "passed": False, "reason": "It lost to ease."}

    text = render_evaluation(run_metrics() | {"gate": {"passed": False, "checks": [failed]}}, run="run-1")

    assert "gate refused" in checked(text).words
    assert text.index("It lost to ease.") < text.index('id="models"')


@pytest.mark.parametrize("name", ["two_stage", "ease", "gender", "female", "ease_rank", "ranker", "union"])
def test_page_of_hostile_names_is_safe(name: str):
    words = words_of(renamed(run_metrics(), name, HOSTILE))

    assert any(HOSTILE in word for word in words)


def test_page_of_hostile_notes_and_ids_is_safe():
    metrics = run_metrics() | {
        "dataset": HOSTILE,
        "notes": [HOSTILE],
        "source": HOSTILE,
        "bundle_id": HOSTILE,
    }

    assert sum(HOSTILE in word for word in words_of(metrics)) >= 5  # the data set in title and heading


def holder_of(metrics: dict[str, Any], place: str) -> tuple[dict[str, Any], str]:
    *folders, key = place.split(".")
    for folder in folders:
        metrics = metrics[folder]
    return metrics, key


@pytest.mark.parametrize("place", PLACES)
def test_page_without_a_part_leaves_it_out_with_a_word(place: str):
    metrics = run_metrics()
    holder, key = holder_of(metrics, place)
    del holder[key]

    assert f"left out: {place}." in " ".join(words_of(metrics))


@pytest.mark.parametrize("place", PLACES)
def test_page_of_an_unreadable_part_leaves_it_out_with_a_word(place: str):
    metrics = run_metrics()
    holder, key = holder_of(metrics, place)
    holder[key] = {"odd": [{"odd": "odd"}]}

    assert f"left out: {place}." in " ".join(words_of(metrics))


def test_page_of_nothing_is_a_page():
    assert "gate" in " ".join(words_of({}))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=40)
@given(st.sampled_from(PLACES), JSON)
def test_page_of_any_values_is_whole(place: str, value: object):
    metrics = run_metrics()
    holder, key = holder_of(metrics, place)
    holder[key] = value

    checked(render_evaluation(metrics, run="run-1"))


def test_page_shows_a_search_where_there_is_one():
    page = checked(render_evaluation(run_metrics(), run="run-1", study="<p>twenty trials</p>"))

    assert "search" in page.ids
    assert "twenty trials" in page.words


def test_page_of_equal_metrics_is_equal():
    assert render_evaluation(run_metrics(), run="r") == render_evaluation(run_metrics(), run="r")


EXTREMES = st.sampled_from([0.0, -1.0, 1e308, -1e308, 5e-324, 1e-9])


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=40)
@given(st.data())
def test_page_of_extreme_numbers_is_whole(data: st.DataObject):
    def shaken(value: Any) -> Any:
        """The same shape with other numbers, shorter lists and stranger labels."""
        if isinstance(value, dict):
            return {
                key.replace("@100", data.draw(st.sampled_from(["@100", "@0", "@²", "@"]))): shaken(each)
                for key, each in value.items()
            }
        if isinstance(value, list):
            return [shaken(each) for each in value][: data.draw(st.sampled_from([0, 1, 99]))]
        if isinstance(value, bool | str) or value is None:
            return value
        return data.draw(EXTREMES) if isinstance(value, float) else data.draw(st.sampled_from([value, 0, -1]))

    metrics = run_metrics()
    place = data.draw(st.sampled_from(PLACES))
    holder, key = holder_of(metrics, place)
    holder[key] = shaken(holder[key])

    checked(render_evaluation(metrics, run="run-1"))
