"""The server's life: what it says when it can't begin, what it offers, and how it ends."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from marquee.errors import ConfigError
from marquee.monitoring.exposure import Exposure
from marquee.monitoring.exposure_lines import exposure_files, read_exposures
from serving.program import arguments_of, require_taken
from tests.serving.conftest import NAME, Server, free_port, serving, wait_until
from tests.small_run import Place, process_environment

METRICS = {
    "marquee_requests": "counter",
    "marquee_request_seconds": "histogram",
    "marquee_stage_seconds": "histogram",
    "marquee_feature_missing": "counter",
    "marquee_item_matrix_age_seconds": "gauge",
    "marquee_degraded": "counter",
    "marquee_candidates": "histogram",
    "marquee_score": "histogram",
    "marquee_inflight": "gauge",
    "marquee_bundle_info": "gauge",
    "marquee_bundle_loaded_timestamp_seconds": "gauge",
}


# --- what it offers ---------------------------------------------------------------------------------------


def test_metrics_are_in_the_format_of_prometheus_under_their_names(server: Server) -> None:
    assert server.predict({"user_id": "u000"}).status == 200

    reply = server.call("/metrics")
    families = {each.name: each for each in text_string_to_metric_families(reply.body.decode())}

    assert reply.headers["content-type"].startswith("text/plain")
    assert {name: families[name].type for name in METRICS} == METRICS
    (bundle,) = families["marquee_bundle_info"].samples
    assert (bundle.value, sorted(bundle.labels)) == (1, ["bundle", "git_sha", "variant"])
    labels = {name for family in METRICS for sample in families[family].samples for name in sample.labels}
    assert not labels & {"user_id", "item_id", "request_id"}


def test_repository_is_closed_and_the_model_stays(server: Server) -> None:
    for action in ("unload", "load"):
        assert server.call(f"/v2/repository/models/{NAME}/{action}", b"").status == 404

    assert server.call(f"/v1/models/{NAME}").json == {"name": NAME, "ready": True}
    assert server.call("/v1/models/other").status == 404
    assert server.call("/").json == {"status": "alive"}


# --- how it ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "options"),
    [(signal.SIGTERM, ()), (signal.SIGINT, ("--fast_path", "off", "--enable_grpc", "true"))],
)
def test_signal_lets_requests_in_flight_finish_and_flushes_what_was_shown(
    trained: Place, tmp_path: Path, number: int, options: Sequence[str]
) -> None:
    more = ("--grpc_port", str(free_port())) if options else ()
    batch = [{"user_id": f"u{user:03}", "n": 100, "explain": True} for user in range(64)]
    with serving(trained, tmp_path, *options, *more) as server, ThreadPoolExecutor(1) as beside:
        asked = beside.submit(server.predict, *batch)
        wait_until(lambda: server.metric("marquee_inflight ") > 0 or asked.done(), server)
        was_under_way = not asked.done()

        code = server.stop(number)

        predictions = asked.result().json["predictions"]
        shown = [entry for path in exposure_files(tmp_path / "exposures") for entry in read_exposures(path)]
        log = server.log.read_text(encoding="utf-8")
    assert was_under_way
    assert code == 0
    assert [each["user_id"] for each in predictions] == [each["user_id"] for each in batch]
    assert all(isinstance(entry, Exposure) for entry in shown)
    assert sorted(each.request_id for each in shown if isinstance(each, Exposure)) == sorted(
        each["request_id"] for each in predictions
    )
    assert not [word for word in ("raceback", "nanobind", "leak", "never retrieved") if word in log], log


# --- what it says when it can't begin ---------------------------------------------------------------------


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def failing(place: Place, *options: str) -> tuple[int, list[str]]:
    """The exit code and what was said to people, of a server that ends by itself."""
    done = subprocess.run(
        [sys.executable, "-m", "serving", "--host", "127.0.0.1", "--http_port", str(free_port()), *options],
        env=process_environment(place, {"MARQUEE_EXPOSURES": "none"}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "raceback" not in done.stdout + done.stderr, done
    assert "serving default" not in done.stderr, done
    return done.returncode, [
        line for line in done.stderr.splitlines() if not line.startswith(("{", "E1", "E0"))
    ]


def test_port_in_use_is_one_error_with_its_remedy(trained: Place, taken: int) -> None:
    code, (error, remedy) = failing(trained, "--model_dir", str(trained.latest), "--http_port", str(taken))

    assert code == 2
    assert error.startswith(f"error: --host 127.0.0.1 --http_port {taken}: can't listen: ")
    assert remedy.startswith("remedy: ")


def test_grpc_port_in_use_is_one_error_with_its_remedy(trained: Place, taken: int) -> None:
    code, (error, remedy) = failing(
        trained, "--model_dir", str(trained.latest), "--enable_grpc", "true", "--grpc_port", str(taken)
    )

    assert (code, error) == (2, f"error: --grpc_port {taken}: can't listen.")
    assert remedy.startswith("remedy: ")


def test_folder_without_a_bundle_is_one_error_with_its_remedy(trained: Place, tmp_path: Path) -> None:
    code, (error, remedy) = failing(trained, "--model_dir", str(tmp_path))

    assert code == 2
    assert error.startswith(f"error: {tmp_path} ")
    assert remedy.startswith("remedy: ")


def test_torn_bundle_is_one_error_and_nothing_is_served(trained: Place, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"schema_version": 1}), encoding="utf-8")

    code, (error, _) = failing(trained, "--model_dir", str(tmp_path))

    assert code == 2
    assert error.startswith("error: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--ssl_certfile", "server.pem"), "--ssl_certfile server.pem "),
        (("--workers", "2"), "--workers 2 "),
        (("--predictor_host", "elsewhere"), "--predictor_host elsewhere "),
    ],
)
def test_option_of_kserve_that_would_do_nothing_is_refused(options: Sequence[str], said: str) -> None:
    with pytest.raises(ConfigError, match="does not take") as caught:
        require_taken(arguments_of(options))

    assert said in str(caught.value)


def test_option_of_kserve_that_manifests_carry_is_let_through() -> None:
    words = [
        "--model_name=marquee",
        "--enable_latency_logging=false",
        "--enable_grpc=false",
        "--http_port=80",
    ]

    require_taken(arguments_of(words))


def test_help_names_our_options() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "serving", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )

    assert done.stderr == ""
    for option in ("--model_dir", "--variant", "--host", "--http_port", "--fast_path", "--enable_grpc"):
        assert option in done.stdout
