"""Which sink an address means, and addresses that mean none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from marquee.adapters.exposures.sink import NoSink, open_sink
from marquee.errors import ConfigError
from marquee.monitoring.exposure_lines import exposure_files
from tests.marquee.adapters.exposures.sinks import lines


@pytest.mark.parametrize("form", ["{}", "file:{}", "file://{}", "file://localhost{}"])
def test_folder_in_any_of_its_forms_takes_files(tmp_path: Path, form: str):
    folder = tmp_path / "a:b"
    sink = open_sink(form.format(folder))

    sink.write(lines(1, 1))
    sink.close()

    assert len(exposure_files(folder)) == 1


def test_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sink = open_sink("file:exposures")
    monkeypatch.chdir("/")

    sink.write(lines(1, 1))

    assert len(exposure_files(tmp_path / "exposures")) == 1


def test_none_takes_all_and_keeps_nothing():
    sink = open_sink("none")
    sink.write(lines(1, 3))
    sink.close()

    assert isinstance(sink, NoSink)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("kafka://one:9092,two:9092/shown", "topic shown at one:9092,two:9092"),
        ("https://user:hidden@bus.example/default?key=hidden", "CloudEvents to bus.example"),
        ("binary+http://broker/ns/default", "CloudEvents to broker"),
    ],
)
def test_address_of_a_bus_names_its_sink_without_secrets(address: str, name: str):
    sink = open_sink(address, {})
    sink.close()

    assert sink.name == name


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ftp://host/folder",
        "s3://user:hidden@bucket/prefix",
        "file://elsewhere/folder",
        "kafka://host:9092",
        "kafka:///topic",
        "kafka:host/topic",
        "kafka://user:hidden@host/topic",
        "http://",
        "https://:hidden@/",
        "http://host:hidden/",
        "binary+http:host",
    ],
)
def test_address_that_means_no_sink_is_refused_without_its_secret(address: str):
    with pytest.raises(ConfigError) as caught:
        open_sink(address)

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "options", "named"),
    [
        ("some/folder", {"Authorization": "hidden"}, "options"),
        ("kafka://localhost:1/t", {"colour": "hidden"}, "colour"),
        ("kafka://localhost:1/t", {"security.protocol": "hidden"}, "security.protocol"),
        ("kafka://localhost:1/t", {"security.protocol": "sasl_ssl", "sasl.password": "hidden"}, "sasl"),
        ("kafka://localhost:1/t", {"acks": "hidden"}, "acks"),
        ("http://localhost:1", {"Authorization": "hidden\n"}, "Authorization"),
        ("http://localhost:1", {"X Y": "hidden"}, "X Y"),
    ],
)
def test_option_that_does_not_fit_is_named_and_its_value_is_not(address, options, named):
    with pytest.raises(ConfigError, match=named) as caught:
        open_sink(address, options)

    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_clients_of_buses_are_imported_for_who_uses_them_only(tmp_path: Path):
    program = (
        "import sys, json\n"
        "from marquee.adapters.exposures.log import ExposureLog\n"
        "from marquee.adapters.exposures.sink import open_sink\n"
        f"ExposureLog(open_sink({str(tmp_path)!r})).close()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    loaded = set(json.loads(done.stdout))
    assert "marquee.adapters.exposures.json_lines" in loaded
    assert loaded.isdisjoint({"confluent_kafka", "httpx", "aiohttp", "feast", "mlflow"})
