"""What evaluate-model says of a run; that it measures what `marquee train` does is shown by the pipeline."""

from typing import Any

import pytest

from marquee.steps.evaluate_model import as_markdown, headline

TWO_STAGE = {"ndcg@10": 0.5, "ndcg@1": 0.25, "recall@100": 0.75}
METRICS: dict[str, Any] = {
    "models": {
        "popular": {"ndcg@10": 0.125, "ndcg@1": 0.0625, "recall@100": 0.5},
        "two_stage": TWO_STAGE,
        "als": {"ndcg@10": 0.25, "recall@100": 0.625},
    },
    "diagnosis": {"best_route": "als"},
    "gate": {
        "passed": False,
        "checks": [
            {"passed": True, "reason": "3 aligned queries."},
            {"passed": False, "reason": "worse than als."},
        ],
    },
}


def test_headline_has_the_two_stages_numbers_and_the_best_route_s_under_names_that_kfp_takes():
    assert headline(METRICS) == {
        "ndcg_at_10": 0.5,
        "ndcg_at_1": 0.25,
        "recall_at_100": 0.75,
        "ndcg_at_10_of_best_route": 0.25,
    }


def test_table_has_the_best_model_first_and_a_gap_where_a_number_is_missing():
    lines = as_markdown(METRICS).splitlines()

    assert lines[:5] == [
        "| model | ndcg@10 | ndcg@1 | recall@100 |",
        "| --- | ---: | ---: | ---: |",
        "| two_stage | 0.5000 | 0.2500 | 0.7500 |",
        "| als | 0.2500 |  | 0.6250 |",
        "| popular | 0.1250 | 0.0625 | 0.5000 |",
    ]


@pytest.mark.parametrize(("passed", "word"), [(True, "passed"), (False, "refused")])
def test_table_ends_with_the_verdict_and_its_grounds(passed: bool, word: str):
    text = as_markdown({**METRICS, "gate": {**METRICS["gate"], "passed": passed}})

    assert text.endswith(f"\n**Gate: {word}**\n\n- passed: 3 aligned queries.\n- refused: worse than als.\n")
