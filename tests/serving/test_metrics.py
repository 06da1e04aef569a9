"""What the server counts: each name moves with what it stands for."""

from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest

from marquee import schema
from serving.housekeeping import Chronicle, follow
from serving.metrics import LATENCY_S, SCORES, Metrics
from tests.serving.asking import ask, count
from tests.serving.conftest import make_engine

HOME = {"surface": "home", "variant": "default"}


def test_latency_buckets_are_those_of_milliseconds():
    assert [round(1e3 * each, 1) for each in LATENCY_S] == [0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100, 250]


def test_request_is_counted_and_timed_by_surface_variant_bundle_and_outcome(engine):
    bundle = engine.slots.default.bundle_id
    for surface in ("home", "home", "trending"):
        ask(engine, user_id="u001", surface=surface)
    ask(engine, user_id="u001", maturity_limit=0)
    ask(engine, user_id="u001", surface="similar", item_id="unknown")

    def requests(surface: str, outcome: str) -> float:
        labels = {"surface": surface, "variant": "default", "bundle": bundle, "outcome": outcome}
        return count(engine, "marquee_requests_total", **labels)

    assert requests("home", "ok") == 2
    assert requests("home", "empty") == 1
    assert requests("trending", "ok") == 1
    assert requests("similar", "degraded") == 1
    assert count(engine, "marquee_request_seconds_count", **HOME) == 3
    assert count(engine, "marquee_request_seconds_sum", **HOME) > 0
    for stage in ("row", "wait", "list"):
        assert count(engine, "marquee_stage_seconds_count", stage=stage) == 5
    assert count(engine, "marquee_inflight") == 0


def test_candidates_and_scores_are_of_home_lists(engine):
    found = ask(engine, user_id="u001")
    ask(engine, user_id="u001", surface="popular")

    assert count(engine, "marquee_candidates_count", variant="default") == 1
    assert 12 <= count(engine, "marquee_candidates_sum", variant="default") <= 90
    score = found["items"][0]["score"]
    for edge in SCORES:  # the client exports no sum where a bucket is negative
        label = {"variant": "default", "le": str(float(edge))}
        assert count(engine, "marquee_score_bucket", **label) == (score <= edge)


def test_missing_views_and_degraded_lists_are_counted_by_name(engine):
    ask(engine, user_id="u001")
    ask(engine, user_id="somebody new")
    ask(engine, user_id=None)
    assert count(engine, "marquee_feature_missing_total", feature_view=schema.USER_ACTIVITY_VIEW) == 1
    assert count(engine, "marquee_feature_missing_total", feature_view=schema.USER_PROFILE_VIEW) == 1
    assert count(engine, "marquee_degraded_total", reason="store_absent") == 0

    engine.rows.read = None
    ask(engine, user_id="u001")

    assert count(engine, "marquee_degraded_total", reason="store_absent") == 1
    assert count(engine, "marquee_feature_missing_total", feature_view=schema.USER_ACTIVITY_VIEW) == 1


def test_bundle_info_names_the_one_that_answers_and_forgets_the_one_before(trained, engine):
    slot = engine.slots.default
    registry = engine.metrics.registry
    commit = str(slot.answering.model.manifest.provenance.get("git_commit") or "")
    labels = {"variant": "default", "bundle": slot.bundle_id, "git_sha": commit}
    assert registry.get_sample_value("marquee_bundle_info", labels) == 1
    loaded = registry.get_sample_value("marquee_bundle_loaded_timestamp_seconds", {"variant": "default"})
    assert loaded == slot.loaded_at.timestamp()

    observer = engine.slots.observer
    assert isinstance(observer, Chronicle)
    model = slot.answering.model
    manifest = model.manifest.model_copy(update={"bundle_id": "another"})
    object.__setattr__(model, "manifest", manifest)
    observer.loaded(slot, seconds=0.1)

    assert registry.get_sample_value("marquee_bundle_info", labels) is None
    assert registry.get_sample_value("marquee_bundle_info", {**labels, "bundle": "another"}) == 1


def test_time_of_training_is_the_manifests(trained):
    engine = make_engine(trained)
    follow(engine.metrics, engine)
    text = engine.slots.default.answering.model.manifest.provenance["created_at"]
    read = engine.metrics.registry.get_sample_value

    seconds = read("marquee_bundle_trained_timestamp_seconds", {"variant": "default"})

    engine.close()
    assert seconds == datetime.fromisoformat(text).timestamp()


def test_no_label_names_a_user_or_an_item(trained):
    engine = make_engine(trained)
    follow(engine.metrics, engine)
    for surface in ("home", "popular"):
        ask(engine, user_id="u042", surface=surface, history=["m017"])
    ask(engine, user_id="u042", surface="similar", item_id="m017")
    text = generate_latest(engine.metrics.registry).decode()
    engine.close()

    assert "marquee_requests_total" in text
    assert "u042" not in text
    assert "m017" not in text


def test_real_server_exports_all_of_it(server):
    server.predict({"user_id": "u001"})
    server.predict({"n": 0})

    text = server.call("/metrics").body.decode()

    names = [
        "marquee_requests_total", "marquee_request_seconds_bucket", "marquee_stage_seconds_bucket",
        "marquee_item_matrix_age_seconds", "marquee_candidates_bucket", "marquee_score_bucket",
        "marquee_inflight", "marquee_bundle_info", "marquee_bundle_loaded_timestamp_seconds",
        "marquee_bundle_trained_timestamp_seconds",
        "marquee_store_paused", 'marquee_exposures{state="written"}',
    ]  # fmt: skip
    assert [name for name in names if f"\n{name}" not in text] == []
    assert server.metric('marquee_requests_total{bundle="none",outcome="refused"') >= 1
    assert '\nmarquee_requests_total{bundle="none",outcome="error"' in text  # before there was one


def test_metrics_of_two_registries_do_not_meet():
    one, other = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())

    one.degraded.labels("x").inc()

    assert other.registry.get_sample_value("marquee_degraded_total", {"reason": "x"}) is None
