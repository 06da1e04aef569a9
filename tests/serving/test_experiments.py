"""Experiments in the server: who gets which bundle, what is said of it, and how it is ended."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marquee.adapters.exposures.log import ExposureLog
from marquee.experiments.assignment import assign
from marquee.experiments.config import Experiment, ExperimentsConfig, Variant, read_experiments
from marquee.monitoring.exposure import Exposure
from marquee.monitoring.exposure_lines import exposure_files, read_exposures
from serving.engine import Engine
from serving.protocol import InvalidRequestError
from serving.slots import Slots
from tests.serving.asking import KeptSink, ask, asked, count
from tests.serving.bundles import bundle_like
from tests.serving.conftest import Server, make_engine, serving, wait_until
from tests.small_run import Place

TEXT = """
experiments:
  - name: ranker
    variants: [{name: control, weight: 3}, {name: new, weight: 1, bundle: b}]
  - name: words
    layer: texts
    variants: [{name: short}, {name: long}]
    surfaces: [home, trending]
"""
CONFIG = ExperimentsConfig(
    experiments=(
        Experiment(
            name="ranker", variants=(Variant(name="control", weight=3), Variant(name="new", bundle="b"))
        ),
    )
)
USERS = [f"u{number:03}" for number in range(60)]


@pytest.fixture
def sides(trained: Place, tmp_path: Path) -> Iterator[Engine]:
    """An engine with two bundles, an experiment between them, and a log that is kept."""
    bundle = (trained.latest / "bundle").resolve()
    bundle_like(bundle, tmp_path / "b", policy={"min_events": 1000})  # nobody's list is personal there
    made = make_engine(trained, experiments=CONFIG, exposures=ExposureLog(KeptSink()))
    slots = made.slots
    made.slots = Slots.load(
        {**slots.places, "b": tmp_path / "b"},
        matrix_folder=slots.matrix_folder,
        observer=slots.observer,
        require=slots.require,
    )
    yield made
    made.close()
    made.exposures.close()  # type: ignore[union-attr]


def assignments(prediction: dict[str, Any]) -> dict[str, str]:
    return {each["experiment"]: each["variant"] for each in prediction["assignments"]}


def logged(engine: Engine) -> list[Exposure]:
    assert engine.exposures is not None
    engine.records.flush()
    engine.exposures.close()
    return engine.exposures.sink.exposures  # type: ignore[attr-defined]


def test_users_get_the_bundle_of_their_variant_and_the_log_says_with_what_probability(sides):
    found = [ask(sides, user_id=user) for user in USERS]

    for user, each in zip(USERS, found, strict=True):
        (drawn,) = assign(user, CONFIG)
        assert each["assignments"] == [
            {
                "experiment": "ranker",
                "variant": drawn.variant,
                "propensity": {"control": 0.75, "new": 0.25}[drawn.variant],
                "is_override": False,
            }
        ]
        assert each["variant"] == ("b" if drawn.variant == "new" else "default")
        assert each["bundle_id"] == sides.slots.current[each["variant"]].bundle_id
    assert 5 <= Counter(each["variant"] for each in found)["b"] <= 25  # 15 expected; 3 deviations are 10
    records = {each.user_id: each for each in logged(sides)}
    for each in found:
        record = records[each["user_id"]]
        assert (record.variant, record.bundle_id) == (each["variant"], each["bundle_id"])
        assert [(a.experiment, a.variant, a.propensity, a.is_override) for a in record.assignments] == [
            (a["experiment"], a["variant"], a["propensity"], a["is_override"]) for a in each["assignments"]
        ]


def test_variants_are_counted_apart(sides):
    found = Counter(ask(sides, user_id=user)["variant"] for user in USERS)

    for slot in ("default", "b"):
        labels = {
            "surface": "home",
            "variant": slot,
            "bundle": sides.slots.current[slot].bundle_id,
            "outcome": "ok",
        }
        assert count(sides, "marquee_requests_total", **labels) == found[slot] > 0


def test_override_is_followed_and_marked_and_draws_nobody_else(sides):
    user = next(user for user in USERS if assign(user, CONFIG)[0].variant == "control")
    forced = ask(sides, user_id=user, variants={"ranker": "new"})
    nameless = ask(sides, user_id=None, variants={"ranker": "new"})
    drawn, unknown = ask(sides, user_id=user), ask(sides, user_id=None)

    assert (forced["variant"], nameless["variant"]) == ("b", "b")
    assert [each["is_override"] for each in forced["assignments"] + nameless["assignments"]] == [True, True]
    assert (drawn["variant"], assignments(drawn)) == ("default", {"ranker": "control"})
    assert (unknown["variant"], unknown["assignments"]) == ("default", [])
    flags = [each.is_override for record in logged(sides) for each in record.assignments]
    assert flags == [True, True, False]


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        ({"nothing": "new"}, "unknown experiment"),
        ({"ranker": "nothing"}, "unknown variant"),
    ],
)
def test_override_of_what_does_not_exist_is_refused_with_its_place(sides, variants, words):
    with pytest.raises(InvalidRequestError, match=rf"instances\[1\]\.variants: .*{words}"):
        asyncio.run(asked(sides, {"user_id": "u1"}, {"user_id": "u1", "variants": variants}))


def test_experiment_that_does_not_apply_to_a_surface_leaves_the_default_bundle(sides):
    found = [ask(sides, user_id=user, surface="popular") for user in USERS[:20]]

    assert {each["variant"] for each in found} == {"default"}
    assert [each["assignments"] for each in found] == [[]] * 20


def test_bundle_that_is_not_loaded_is_the_default_one_and_said(trained):
    engine = make_engine(trained, experiments=CONFIG)
    found = [ask(engine, user_id=user) for user in USERS]
    engine.close()

    missing = [each for each in found if assignments(each) == {"ranker": "new"}]
    assert missing
    for each in found:
        assert each["variant"] == "default"
        assert each["degraded_reasons"] == (["bundle_absent"] if each in missing else [])
    assert count(engine, "marquee_degraded_total", reason="bundle_absent") == len(missing)


def test_experiments_of_a_real_server_are_sticky_switched_off_and_survive_a_broken_edit(trained, tmp_path):
    bundle_like((trained.latest / "bundle").resolve(), tmp_path / "b")
    file = tmp_path / "experiments.yaml"
    file.write_text(TEXT, encoding="utf-8")
    more = {"MARQUEE_EXPERIMENTS": str(file)}
    options = ["--variant", f"b={tmp_path / 'b'}", "--user_row_timeout_ms", "10000"]

    def drawn(server: Server) -> list[dict[str, str]]:
        found = server.predict(*({"user_id": user} for user in USERS)).json["predictions"]
        return [assignments(each) for each in found]

    with serving(trained, tmp_path, *options, environment=more) as server:
        before = drawn(server)
        file.write_text(TEXT + "experiments: again", encoding="utf-8")
        wait_until(lambda: "experiments stay as they are" in server.log.read_text(encoding="utf-8"), server)
        broken = drawn(server)
        file.write_text(TEXT + "is_on: false\n", encoding="utf-8")
        wait_until(lambda: drawn(server)[0] == {}, server)
        off = server.predict(*({"user_id": user} for user in USERS)).json["predictions"]
        kept = server.predict({"user_id": USERS[0], "variants": {"ranker": "new"}}).prediction
    file.write_text(TEXT, encoding="utf-8")
    with serving(trained, tmp_path, *options, environment=more) as server:
        again = drawn(server)

    config = read_experiments(file)
    assert (
        before
        == broken
        == again
        == [{a.experiment: a.variant for a in assign(user, config)} for user in USERS]
    )
    assert {frozenset(each) for each in before} == {frozenset({"ranker", "words"})}
    assert {each["variant"] for each in off} == {"default"}
    assert (kept["variant"], kept["assignments"]) == (
        "default",
        [],
    )  # an override does not pass a kill switch
    exposures = [each for path in exposure_files(tmp_path / "exposures") for each in read_exposures(path)]
    assert all(isinstance(each, Exposure) for each in exposures)
    shown = {(each.user_id, each.variant) for each in exposures if each.assignments}  # type: ignore[union-attr]
    assert len(shown) == len(USERS)  # the same slot each time
