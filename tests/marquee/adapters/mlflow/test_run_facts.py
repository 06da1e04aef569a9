from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from marquee.adapters.mlflow import run_facts
from marquee.bundle import read_manifest
from tests.marquee.adapters.mlflow.finished_run import SNAPSHOT, measured, write_run


def test_params_of_nested_config_are_flat_text():
    config = {"seed": 7, "routes": {"enabled": ["als"], "popular": {}, "ease": {"l2": 0.5, "off": None}}}

    assert run_facts.params_of(config) == {
        "seed": "7",
        "routes.enabled": '["als"]',
        "routes.ease.l2": "0.5",
        "routes.ease.off": "null",
    }


def test_params_of_long_value_are_cut_and_say_so():
    assert run_facts.params_of({"a": "x" * 6000}) == {"a": "x" * 6000}
    assert run_facts.params_of({"a": "x" * 6001}) == {"a": "x" * 5999 + "…"}


@given(
    st.recursive(
        st.integers() | st.text(),
        lambda inner: st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
        max_leaves=5,
    )
)
def test_params_of_anything_fit_the_limits(config: object):
    params = run_facts.params_of({"top": config})

    assert all(isinstance(value, str) and len(value) <= 6000 for value in params.values())


def test_metrics_of_models_have_bounds_and_names_that_mlflow_takes():
    assert run_facts.metrics_of(measured()) == {
        "two_stage/ndcg_at_10": 0.5,
        "two_stage/ndcg_at_10_low": 0.375,
        "two_stage/ndcg_at_10_high": 0.625,
        "two_stage/gini_at_1": 0.25,
        "ease/ndcg_at_10": 0.4,
        "ceiling/union": 0.75,
        "seconds/training_set": 2.0,
        "seconds/ranker": 1.5,
        "data/users": 5.0,
        "queries": 3.0,
    }


def test_tags_of_passed_run_name_its_origin_and_every_reason(tmp_path: Path):
    run = write_run(tmp_path)

    tags = run_facts.tags_of(run.measured, read_manifest(run.bundle))

    assert tags["marquee.run_id"] == "run-1"
    assert tags["marquee.bundle_id"] == run.bundle_id
    assert tags["marquee.snapshot"] == SNAPSHOT
    assert tags["marquee.dataset"] == "ml-100k"
    assert tags["marquee.protocol"] == "temporal"
    assert tags["marquee.seed"] == "7"
    assert tags["marquee.gate"] == "passed"
    assert tags["mlflow.source.git.commit"] == "3c83e6e"
    assert tags["marquee.gate_reasons"].splitlines() == [
        "inputs: 3 aligned queries.",
        "route: better than ease.",
        "age_band is no guardrail.",
    ]


def test_tags_of_refused_run_give_the_reasons_of_the_refusal(tmp_path: Path):
    run = write_run(tmp_path, passed=False)

    tags = run_facts.tags_of(run.measured, read_manifest(run.bundle))

    assert tags["marquee.gate"] == "refused"
    assert tags["marquee.gate_reasons"].splitlines() == [
        "inputs: 3 aligned queries.",
        "age_band is no guardrail.",
    ]


def test_description_lists_the_best_model_first(tmp_path: Path):
    run = write_run(tmp_path)

    lines = run_facts.description(run.measured, read_manifest(run.bundle)).splitlines()

    assert lines[-2:] == ["| two_stage | 0.5000 | 0.3750 – 0.6250 |", "| ease | 0.4000 |  |"]
