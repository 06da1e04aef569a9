"""The log between server and sink: nothing waits, and each record is accounted for."""

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.adapters.exposures.log import ExposureCounts, ExposureLog, RetryConfig
from marquee.adapters.exposures.rows import SampledRows
from marquee.errors import ConfigError, ExposureSinkError, WarehouseError
from marquee.features.request_log import LoggedRequest, read_requests
from tests.full_disk import files_of_at_most
from tests.marquee.adapters.exposures.sinks import ScriptedSink, StuckSink
from tests.marquee.monitoring.exposure_factory import exposure

SOON = RetryConfig(total_s=30, first_wait_s=0.001, longest_wait_s=0.002)


def failure(*, taken: int = 0, may_retry: bool = True) -> ExposureSinkError:
    return ExposureSinkError("down.", remedy="Wait.", taken=taken, may_retry=may_retry)


def is_balanced(counts: ExposureCounts) -> bool:
    out = counts.written + counts.dropped_full + counts.lost + counts.queue_length
    return counts.offered == out and counts.queue_length >= 0


def row(number: int, **differences) -> LoggedRequest:
    values = {"request_id": f"r{number}", "time_us": 1, "service": "s", "service_hash": "h", "user_id": "u"}
    return LoggedRequest(**values | {"row": {}} | differences)


def test_log_brings_each_record_to_the_sink_once_and_in_order():
    sink = ScriptedSink()
    log = ExposureLog(sink, batch=7, linger_ms=1)

    accepted = [log.offer(exposure(number)) for number in range(50)]
    counts = log.close()

    assert all(accepted)
    assert sink.taken == [f"r{number}" for number in range(50)]
    assert max(map(len, sink.batches)) <= 7
    assert (counts.offered, counts.written, counts.lost, counts.queue_length) == (50, 50, 0, 0)
    assert sink.is_closed


def test_record_that_waits_alone_is_written_without_another():
    sink = StuckSink()
    log = ExposureLog(sink, batch=100, linger_ms=1)

    log.offer(exposure())

    assert sink.is_reached.wait(20)
    sink.let_go.set()
    assert log.close().written == 1


def test_full_batch_does_not_wait_for_the_clock():
    sink = StuckSink()
    log = ExposureLog(sink, batch=2, linger_ms=60_000)

    log.offer(exposure(1))
    log.offer(exposure(2))

    assert sink.is_reached.wait(20)
    sink.let_go.set()
    assert log.close().written == 2


def test_stuck_sink_leaves_offers_free_and_the_newest_are_dropped():
    sink = StuckSink()
    log = ExposureLog(sink, capacity=10, batch=4, linger_ms=1)
    log.offer(exposure(0))
    sink.is_reached.wait(20)

    accepted = [log.offer(exposure(number)) for number in range(1, 15)]  # none of these may hang
    stuck = log.counts
    sink.let_go.set()
    counts = log.close()

    assert accepted == [True] * 9 + [False] * 5
    assert (stuck.offered, stuck.written, stuck.dropped_full, stuck.queue_length) == (15, 0, 5, 10)
    assert sink.taken == [f"r{number}" for number in range(10)]
    assert (counts.written, counts.dropped_full, counts.queue_length) == (10, 5, 0)


def test_close_with_a_stuck_sink_ends_in_time_and_counts_what_is_left():
    sink = StuckSink()
    log = ExposureLog(sink, batch=2, linger_ms=1)
    log.offer(exposure(0))
    sink.is_reached.wait(20)
    for number in range(1, 6):
        log.offer(exposure(number))

    counts = log.close(timeout_s=0.05)
    sink.let_go.set()
    after = log.close()

    assert (counts.lost, counts.queue_length) == (5, 1)
    assert (after.written, after.lost, after.queue_length) == (1, 5, 0)
    assert sink.taken == ["r0"]


def test_closed_log_takes_no_more():
    log = ExposureLog(ScriptedSink())
    log.close()

    assert not log.offer(exposure())
    assert log.counts.dropped_full == 1


def test_failing_sink_is_tried_again_with_what_it_did_not_take():
    sink = ScriptedSink([failure(taken=2), failure()])
    log = ExposureLog(sink, batch=5, linger_ms=60_000, retry=SOON)

    for number in range(5):  # the fifth wakes the writer
        log.offer(exposure(number))
    counts = log.close()

    assert sink.batches == [["r0", "r1"], [], ["r2", "r3", "r4"]]
    assert (counts.written, counts.lost, counts.retries) == (5, 0, 2)


@pytest.mark.parametrize(
    ("error", "retry"),
    [(failure(taken=1, may_retry=False), SOON), (failure(taken=1), RetryConfig(total_s=0))],
)
def test_batch_without_hope_is_counted_as_lost_and_the_next_goes_on(error, retry):
    sink = ScriptedSink([error])
    log = ExposureLog(sink, batch=3, linger_ms=60_000, retry=retry)

    for number in range(6):
        log.offer(exposure(number))
    counts = log.close()

    assert sink.taken == ["r0", "r3", "r4", "r5"]
    assert (counts.written, counts.lost, counts.retries) == (4, 2, 0)


def test_closing_log_keeps_trying_until_its_time_is_over():
    class DeadSink(ScriptedSink):
        def write(self, _batch):
            raise failure()

    log = ExposureLog(DeadSink(), linger_ms=60_000, retry=SOON)
    log.offer(exposure())

    counts = log.close(timeout_s=0.2)

    assert counts.written == 0
    assert counts.lost + counts.queue_length == 1
    assert is_balanced(counts)


def test_record_that_cannot_be_written_is_lost_alone():
    sink = ScriptedSink()
    log = ExposureLog(sink, linger_ms=60_000)

    for each in (exposure(1), exposure(2, latency_ms=float("nan")), exposure(3)):
        log.offer(each)
    counts = log.close()

    assert sink.taken == ["r1", "r3"]
    assert (counts.written, counts.lost) == (2, 1)


def test_fault_of_ours_in_a_sink_costs_its_batch_and_not_the_thread():
    sink = ScriptedSink([ZeroDivisionError("a bug")])
    log = ExposureLog(sink, batch=2, linger_ms=60_000)

    for number in range(4):
        log.offer(exposure(number))
    counts = log.close()

    assert sink.taken == ["r2", "r3"]
    assert (counts.written, counts.lost, counts.queue_length) == (2, 2, 0)


def test_counts_read_while_many_threads_offer_always_add_up():
    sink = ScriptedSink([failure(taken=1), failure(may_retry=False)] * 40)
    log = ExposureLog(sink, capacity=20, batch=3, linger_ms=1, retry=SOON)
    seen = []

    def offering() -> None:
        for number in range(300):
            log.offer(exposure(number))
            seen.append(log.counts)

    threads = [threading.Thread(target=offering) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen.append(log.close())

    assert all(is_balanced(counts) for counts in seen)
    assert seen[-1].offered == 4 * 300
    assert seen[-1].written == len(sink.taken)


@settings(max_examples=30)
@given(
    st.lists(st.none() | st.builds(failure, taken=st.integers(0, 2), may_retry=st.booleans()), max_size=6),
    st.integers(0, 12),
)
def test_whatever_a_sink_does_no_record_is_written_twice_or_forgotten(failures, n):
    sink = ScriptedSink(failures)
    log = ExposureLog(sink, capacity=8, batch=2, linger_ms=60_000, retry=SOON)

    for number in range(n):
        log.offer(exposure(number))
    counts = log.close()

    assert is_balanced(counts)
    assert counts.queue_length == 0
    assert len(sink.taken) == len(set(sink.taken))
    assert sink.taken == sorted(sink.taken, key=lambda each: int(each[1:]))


def test_rows_of_the_sample_go_to_their_own_file(tmp_path: Path):
    rows = SampledRows(tmp_path, 1.0)
    log = ExposureLog(ScriptedSink(), rows=rows)

    accepted = [log.offer_row(row(1)), log.offer_row(row(2))]
    counts = log.close()

    assert accepted == [True, True]
    assert [each.request_id for each in read_requests(rows.path)] == ["r1", "r2"]
    assert (counts.rows_offered, counts.rows_written, counts.rows_waiting, counts.rows_lost) == (2, 2, 0, 0)
    assert counts.offered == 0


def test_rows_that_find_their_queue_full_are_counted(tmp_path: Path):
    sink = StuckSink()
    log = ExposureLog(sink, capacity=3, linger_ms=1, rows=SampledRows(tmp_path, 1.0))
    log.offer(exposure())
    sink.is_reached.wait(20)

    accepted = [log.offer_row(row(number)) for number in range(5)]
    stuck = log.counts
    sink.let_go.set()
    counts = log.close()

    assert accepted == [True] * 3 + [False] * 2
    assert (stuck.rows_offered, stuck.rows_waiting, stuck.rows_lost) == (5, 3, 2)
    assert (counts.rows_written, counts.rows_waiting, counts.rows_lost) == (3, 0, 2)


def test_row_that_cannot_be_written_is_counted_and_the_next_is_written(tmp_path: Path):
    rows = SampledRows(tmp_path, 1.0)
    log = ExposureLog(ScriptedSink(), rows=rows, linger_ms=60_000)

    log.offer_row(row(1, row={"user_mood": 1}))
    log.offer_row(row(2))
    counts = log.close()

    assert [each.request_id for each in read_requests(rows.path)] == ["r2"]
    assert (counts.rows_written, counts.rows_lost) == (1, 1)


def test_row_that_a_full_disk_tore_is_lost_alone(tmp_path: Path):
    rows = SampledRows(tmp_path, 1.0)
    first, second, third = (row(number).to_line() for number in (1, 2, 3))
    rows.write(row(1))

    with files_of_at_most(len(first) + 20), pytest.raises(WarehouseError, match="File too large"):
        rows.write(row(2))
    torn = rows.path.read_bytes()
    rows.write(row(3))
    rows.close()

    assert torn == first + second[:20]
    assert rows.path.read_bytes() == first + third


def test_row_outside_of_the_sample_is_not_offered(tmp_path: Path):
    without, none = ExposureLog(ScriptedSink()), ExposureLog(ScriptedSink(), rows=SampledRows(tmp_path, 0.0))

    assert not without.wants_row("r1")
    assert not none.offer_row(row(1))
    assert [log.close().rows_offered for log in (without, none)] == [0, 0]


def test_sample_is_of_its_share_nested_and_the_same_in_each_process(tmp_path: Path):
    ids = [f"request-{number}" for number in range(10_000)]
    tenth, fifth, again = (SampledRows(tmp_path, share) for share in (0.1, 0.2, 0.1))

    taken = {each for each in ids if tenth.takes(each)}

    assert 880 <= len(taken) <= 1_120  # 1,000 and four standard deviations: 4 × sqrt(10,000 × .1 × .9) = 120
    assert taken == {each for each in ids if again.takes(each)}
    assert taken <= {each for each in ids if fifth.takes(each)}
    assert tenth.takes("request-9") == ("request-9" in taken)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_share_outside_of_its_range_is_refused(tmp_path: Path, share: float):
    with pytest.raises(ConfigError, match="share of logged rows"):
        SampledRows(tmp_path, share)
