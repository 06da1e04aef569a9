from itertools import count
from pathlib import Path

import pytest

from marquee.adapters.canary_record import CanaryBusyError, CanaryError
from marquee.adapters.deployment import DeploymentError, DeploymentUnavailableError, MetricsUnavailableError
from marquee.errors import MarqueeError
from marquee.monitoring.canary import replay
from marquee.monitoring.canary_config import CanaryConfig, CanaryStep
from marquee.monitoring.canary_state import CanaryState, DecisionRecord
from tests.marquee.canary_loop.rehearsal import FAULTS, NEW, OLD, MemoryStore, Rehearsal
from tests.marquee.monitoring.canary_factory import BAD, NOW, arm, minutes

WAY_UP = ["0 %", "1 %", "5 %", "25 %", "50 %", "100 %", "promote"]


@pytest.fixture
def place(tmp_path: Path) -> Rehearsal:
    return Rehearsal(tmp_path)


def finish(place: Rehearsal, *, holder: str = "one") -> CanaryState:
    for _ in range(60):
        place.pass_minutes(16)
        if (state := place.loop(holder).check()).is_over:
            return state
    raise AssertionError("no end")


def test_good_canary_goes_all_the_way_and_the_registry_hears_of_it(place: Rehearsal):
    place.loop().begin(NEW)
    state = finish(place)

    assert state.phase == "promoted"
    assert place.deployment.changes == WAY_UP
    assert place.shares() == (NEW, None, 0)
    assert place.crown.told == [(NEW, OLD)]
    assert state.log[-1].reason == "champion of the test"


def test_bad_canary_is_dropped_and_the_registry_hears_nothing(place: Rehearsal):
    place.to_step(1)
    place.metrics.canary = BAD
    state = finish(place)

    assert state.phase == "rolled_back"
    assert place.deployment.changes == ["0 %", "1 %", "drop"]
    assert place.shares() == (OLD, None, 0)
    assert place.crown.told == []


def test_every_decision_is_kept_and_replays(place: Rehearsal):
    place.loop().begin(NEW)
    state = finish(place)

    kept = [
        DecisionRecord.model_validate_json(place.store.read(key).content) for key in place.record.decisions()
    ]
    assert [each.number for each in kept] == list(range(1, state.checks + 1))
    assert [replay(each) for each in kept] == [each.decision for each in kept]
    assert [each.decision.verdict for each in kept].count("promote") == 6


def test_metrics_are_read_from_the_step_on_and_of_the_last_minutes(place: Rehearsal):
    place.to_step(1)
    begun = place.record.read().step_since
    place.pass_minutes(20)
    place.loop().check()

    assert place.metrics.looks == [(begun, place.now), (place.now - minutes(5), place.now)]


def test_step_that_has_just_begun_is_not_judged(place: Rehearsal):
    state = place.loop().begin(NEW)

    assert (state.checks, state.step_since) == (0, NOW)


def test_metrics_store_that_does_not_answer_holds_then_rolls_back(place: Rehearsal, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise MetricsUnavailableError("Prometheus is gone.", remedy="Start it.")

    place.to_step(1)
    monkeypatch.setattr(place.metrics, "read", fail)
    place.pass_minutes(1)
    held = place.loop().check()
    place.pass_minutes(15)
    state = place.loop().check()

    assert held.log[-1].reason == "Prometheus is gone., for 0 of 15 min"
    assert (state.phase, place.shares()) == ("rolled_back", (OLD, None, 0))


def test_canary_that_never_becomes_ready_is_rolled_back(place: Rehearsal):
    place.document.report_ready(OLD)
    place.loop().begin(NEW)
    state = finish(place)

    assert (state.phase, place.deployment.changes) == ("rolled_back", ["0 %", "drop"])


def test_canary_that_is_lost_before_its_promotion_is_rolled_back_in_time(place: Rehearsal):
    place.to_step(5)
    place.document.report_ready(OLD)
    state = finish(place)

    assert (state.phase, place.shares()) == ("rolled_back", (OLD, None, 0))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("end", ["promoted", "rolled_back"])
def test_each_change_survives_each_fault(place: Rehearsal, fault: str, end: str):
    """Every changing call fails once before it is let through."""
    place.deployment.faults = [fault, ""] * 20
    place.loop().begin(NEW)
    if end == "rolled_back":
        place.pass_minutes(2)
        place.loop().check()
        place.metrics.canary = BAD
    state = finish(place)

    assert state.phase == end
    assert place.deployment.changes == (WAY_UP if end == "promoted" else ["0 %", "1 %", "drop"])
    assert place.shares() == ((NEW, None, 0) if end == "promoted" else (OLD, None, 0))


def test_cluster_that_stays_away_ends_the_check_and_not_the_rollout(place: Rehearsal):
    place.to_step(1)
    place.pass_minutes(31)
    place.deployment.faults = ["timeout"] * 5
    with pytest.raises(DeploymentUnavailableError):
        place.loop().check()
    pending = place.record.read()
    state = place.loop("another").check()

    assert (pending.current.percent, pending.step_since) == (5, None)
    assert (state.step_since, place.shares()) == (place.now, (OLD, NEW, 5))
    assert len(place.paused) == 5


def test_unreadable_cluster_ends_the_check_and_gives_the_turn_back(place: Rehearsal):
    place.to_step(1)
    place.deployment.read_faults = ["timeout"] * 5
    with pytest.raises(DeploymentUnavailableError):
        place.loop("one").check()

    assert place.loop("two").check().phase == "stepping"


class KilledError(BaseException):
    """The process ends here; nothing cleans up."""


SHORT = CanaryConfig(
    steps=tuple(CanaryStep(percent=percent, minutes=10, requests=1_000) for percent in (0, 10, 100))
)


def kill_at(place: Rehearsal, monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool) -> None:
    """Die before or after the call with this number, of all that reach the store or the cluster."""
    calls = count()

    def deadly(call):
        def wrapped(*arguments: object, **options: object) -> object:
            mine = next(calls) == number
            if mine and not after:
                raise KilledError
            try:
                return call(*arguments, **options)
            finally:
                if mine:
                    raise KilledError

        return wrapped

    for owner, names in (
        (place.store, ("read", "write")),
        (place.deployment, ("status", "set_canary", "promote", "drop_canary")),
        (place.metrics, ("read",)),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, deadly(getattr(owner, name)))
    monkeypatch.setattr(place, "crown", deadly(place.crown))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("bad", [False, True], ids=["good", "bad"])
def test_killed_at_any_point_the_next_process_ends_it_rightly(tmp_path: Path, bad: bool, after: bool):
    """The whole rollout again for each point at which it can die; each time another process goes on."""
    died = True
    number = 0
    while died:
        place = Rehearsal(tmp_path, open=MemoryStore.at)
        if bad:
            place.metrics.canary = arm(10_000, errors=300)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(place, patch, number, after=after)
            try:
                place.loop("first").begin(NEW, SHORT)
                finish(place, holder="first")
                died = False
            except KilledError:
                died = True
        place.pass_minutes(6)  # the dead one's turn is over
        state = place.record.read()
        if state is None:
            place.loop("second").begin(NEW, SHORT)
        if state is None or not state.is_over:
            state = finish(place, holder="second")
        wanted = ("rolled_back", (OLD, None, 0)) if bad else ("promoted", (NEW, None, 0))
        assert (state.phase, place.shares()) == wanted, f"killed at call {number}"
        expected = ["0 %", "10 %", "drop"] if bad else ["0 %", "10 %", "100 %", "promote"]
        assert place.deployment.changes == expected, f"killed at call {number}"
        assert set(place.crown.told if not bad else [(NEW, OLD)]) == {(NEW, OLD)}
        number += 1

    assert number > 40  # points at which it died


def test_second_process_is_turned_away_while_the_first_has_its_turn(place: Rehearsal):
    place.to_step(1)
    place.record.take("first", now=place.now, lasting=minutes(5))

    with pytest.raises(CanaryBusyError, match="first is at it until"):
        place.loop("second").check()
    place.pass_minutes(5)
    assert place.loop("second").check().phase == "stepping"


def test_process_that_slept_through_its_turn_acts_no_more(place: Rehearsal, monkeypatch):
    place.to_step(1)
    place.pass_minutes(31)
    read = place.metrics.read

    def sleep_and_read(*arguments: object, **options: object) -> object:
        monkeypatch.setattr(place.metrics, "read", read)
        place.pass_minutes(10)
        place.loop("second").abort("while the first sleeps")
        return read(*arguments, **options)

    monkeypatch.setattr(place.metrics, "read", sleep_and_read)

    with pytest.raises(CanaryBusyError):
        place.loop("first").check()
    assert place.record.read().phase == "rolled_back"
    assert place.deployment.changes == ["0 %", "1 %", "drop"]


def test_begin_again_with_the_same_bundle_goes_on(place: Rehearsal):
    place.loop().begin(NEW)

    assert place.loop().begin(NEW).started_at == NOW
    assert place.deployment.changes == ["0 %"]


@pytest.mark.parametrize(
    ("prepare", "bundle", "error", "words"),
    [
        (lambda place: place.loop().begin(NEW), "a-third", DeploymentError, "no rollout of ours"),
        (lambda place: None, OLD, CanaryError, "the champion already"),
        (
            lambda place: place.document.set_canary("theirs", 0, expect=place.document.status().version),
            NEW,
            DeploymentError,
            "has canary theirs",
        ),
    ],
)
def test_begin_beside_something_else_is_refused(place: Rehearsal, prepare, bundle, error, words):
    prepare(place)

    with pytest.raises(error, match=words):
        place.loop().begin(bundle)


def test_begin_after_an_end_is_a_new_rollout(place: Rehearsal):
    place.loop().begin(NEW)
    place.loop().abort("changed my mind")
    place.pass_minutes(1)

    assert place.loop().begin(NEW).started_at == NOW + minutes(1)


def test_check_without_a_rollout_says_so(place: Rehearsal):
    with pytest.raises(CanaryError, match="has no rollout"):
        place.loop().check()


def test_abort_of_what_is_over_is_refused(place: Rehearsal):
    place.loop().begin(NEW)
    place.loop().abort("enough")

    with pytest.raises(CanaryError, match="is over"):
        place.loop().abort("again")
    assert place.shares() == (OLD, None, 0)


def test_crown_that_fails_is_asked_again(place: Rehearsal, monkeypatch):
    def refuse(*_: object, **__: object) -> str:
        raise MarqueeError("MLflow is away.", remedy="Wait.")

    place.to_step(5)
    place.pass_minutes(61)
    with monkeypatch.context() as patch:
        patch.setattr(place, "crown", refuse)
        with pytest.raises(MarqueeError, match="MLflow is away"):
            place.loop().check()
    state = place.loop().check()

    assert (state.phase, place.crown.told) == ("promoted", [(NEW, OLD)])


def test_run_goes_on_over_faults_until_the_end(place: Rehearsal):
    place.loop().begin(NEW)
    place.deployment.read_faults = ["timeout"] * 5
    place.paused = []
    loop = place.loop()
    loop.pause = lambda seconds: place.pass_minutes(seconds / 60)

    seen = list(loop.run(every_s=60 * 31, checks=40))

    assert isinstance(seen[0], DeploymentUnavailableError)
    assert seen[-1].phase == "promoted"


def test_run_stops_after_its_checks(place: Rehearsal):
    place.loop().begin(NEW)

    assert len(list(place.loop().run(every_s=60, checks=3))) == 3
    assert place.paused == [60, 60]
