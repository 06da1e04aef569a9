"""The reader of PromQL knows what is exported, and refuses what is not."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from tests.k8s import promql
from tests.k8s.exported import degraded_reasons, exported, of_families

KNOWN = exported()
QUANTILE = """histogram_quantile(0.99, sum by (le, variant) (
  rate(marquee_request_seconds_bucket{surface="home"}[5m])))"""
SHARE = """sum by (variant) (rate(marquee_requests_total{outcome=~"ok|empty"}[5m]))
/ on (variant) sum by (variant) (rate(marquee_request_seconds_count[5m])) > 0.5"""
JOINED = """count by (instance) (marquee_bundle_info)
* on (instance) group_left (bundle) max by (instance, bundle) (marquee_bundle_info)"""


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (QUANTILE, {"variant"}),
        (SHARE, {"variant"}),
        (JOINED, {"instance", "bundle"}),
        ("sum(marquee_inflight)", set()),
        ("max without (instance, pod, job, namespace) (marquee_store_paused)", {"store"}),
        ("time() - max by (variant) (marquee_bundle_loaded_timestamp_seconds)", {"variant"}),
        (
            'absent(marquee_drift_z{signal="genre_psi"}) # nobody measured it',
            {"signal", *promql.INFRASTRUCTURE},
        ),
        (
            "max by (variant) (marquee_bundle_info) == 1 and on (variant)"
            " time() - max by (variant) (marquee_bundle_loaded_timestamp_seconds) < 60 * 60",
            {"variant"},
        ),
        (
            'label_replace(marquee_store_paused, "name", "$1", "store", "(.*)")',
            {"name", "store", *promql.INFRASTRUCTURE},
        ),
        ("topk(3, sum by (reason) (increase(marquee_degraded_total[1d] offset 1h)))", {"reason"}),
        ("avg(rate(marquee_items_total[$__rate_interval])) by (route) or vector(0)", {"route"}),
    ],
)
def test_read_gives_the_labels_of_the_result(text: str, labels: set[str]):
    assert promql.read(text, KNOWN).labels == labels


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("marquee_request_seconds_bucket", "marquee_request_second_bucket", "nothing exports"),
        ("marquee_request_seconds_bucket", "marquee_request_seconds", "nothing exports"),
        ("marquee_request_seconds_bucket", "marquee_request_seconds_total", "nothing exports"),
        ("surface=", "surfaces=", "has no label surfaces"),
        ("surface=", "bundle=", "has no label bundle"),
        ('"home"', '"homes"', "never has surface"),
        ("(le, variant)", "(le, variants)", "no such label"),
        ("(le, variant)", "(variant)", "no le"),
        ("sum by", "summe by", "nothing exports summe"),
        ("rate(", "rates(", "no function rates"),
        ("[5m]", "[5 minutes]", "is no range"),
        ("[5m]", "", ""),
        ("[5m])))", "[5m]))", "the end"),
        ("[5m])))", "[5m])))) ", "after the end"),
        ("0.99,", "0.99;", "can't read"),
    ],
)
def test_quantile_with_a_mistake_is_refused(before: str, after: str, words: str):
    assert before in QUANTILE
    mutant = QUANTILE.replace(before, after)
    if not words:  # a range that is missing is the server's to say: promtool reads each expression, too
        assert promql.read(mutant, KNOWN).labels == {"variant"}
        return

    with pytest.raises(promql.PromqlError, match=words):
        promql.read(mutant, KNOWN)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("on (variant)", "on (surface)", "on both sides"),
        ("/ on (variant) sum by (variant)", "/ on (variant) sum by (surface)", "on both sides"),
        ("ok|empty", "ok|vacant", "never has outcome='vacant'"),
        ("outcome=~", "outcom=~", "has no label outcom"),
        ("marquee_requests_total", "marquee_requests", "nothing exports"),
        ("_count", "_bucket{le='0.3'}", "never has le='0.3'"),
    ],
)
def test_share_with_a_mistake_is_refused(before: str, after: str, words: str):
    assert before in SHARE

    with pytest.raises(promql.PromqlError, match=words):
        promql.read(SHARE.replace(before, after), KNOWN)


def test_selector_without_a_metric_is_refused():
    with pytest.raises(promql.PromqlError, match="where a value should be"):
        promql.read('sum({surface="home"})', KNOWN)


def test_metrics_of_a_registry_have_the_names_that_are_scraped():
    registry = CollectorRegistry()
    Counter("asked", "…", ["who"], registry=registry).labels("me")
    Histogram("took", "…", buckets=(0.5, 1), registry=registry)

    found = of_families(registry.collect())

    assert {"asked_total", "took_bucket", "took_count", "took_sum"} <= set(found)
    assert found["took_bucket"].labels == {"le": {"0.5", "1.0", "+Inf"}}
    assert found["asked_total"].labels == {"who": None}


def test_exported_metrics_are_those_of_server_and_jobs():
    assert {
        "marquee_requests_total",
        "marquee_item_matrix_age_seconds",
        "marquee_exposures",
        "marquee_drift_z",
    } <= set(KNOWN)
    assert set(KNOWN["marquee_requests_total"].labels) == {"surface", "variant", "bundle", "outcome"}
    assert {"0.1", "+Inf"} <= set(KNOWN["marquee_request_seconds_bucket"].labels["le"] or ())
    assert {"overloaded", "store_timeout"} <= degraded_reasons()
