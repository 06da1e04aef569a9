from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.errors import ConfigError, PipelineApiError
from pipelines.api import Api, connect
from pipelines.cron import check_cron
from pipelines.schedules import Schedule, remove, schedule
from pipelines.submit import upload
from tests.pipelines.kfp_stub import KfpStub, settings_of, small_pipeline

pytestmark = pytest.mark.usefixtures("impatient")

NIGHTLY = "0 0 3 * * *"


@pytest.fixture
def wanted(api: Api, tmp_path: Path) -> Schedule:
    version = upload(api, small_pipeline(tmp_path), "0.1.0-aaa")
    return Schedule("nightly", NIGHTLY, version, {"dataset": "ml-100k", "tuning_seconds": 600})


def there(stub: KfpStub) -> list[str]:
    return [*stub.state.recurring_runs]


def test_schedule_is_made_with_all_that_it_needs(stub: KfpStub, wanted: Schedule, tmp_path: Path):
    api = connect(settings_of(stub, tmp_path, pipeline_root="s3://bucket/runs", service_account="runner"))

    made = schedule(api, wanted)

    (kept,) = stub.state.recurring_runs.values()
    assert (made.done, made.recurring_run_id, made.removed) == ("created", kept["recurring_run_id"], ())
    assert kept["trigger"] == {"cron_schedule": {"cron": NIGHTLY}}
    assert (kept["mode"], kept["max_concurrency"], kept["no_catchup"]) == ("ENABLE", "1", True)
    assert kept["pipeline_version_reference"]["pipeline_version_id"] == wanted.version.version_id
    assert kept["runtime_config"] == {"parameters": wanted.parameters, "pipeline_root": "s3://bucket/runs"}
    assert kept["service_account"] == "runner"


def test_equal_schedule_is_left_alone(stub: KfpStub, api: Api, wanted: Schedule):
    first = schedule(api, wanted)
    again = schedule(api, wanted)

    assert (again.done, again.recurring_run_id) == ("unchanged", first.recurring_run_id)
    assert len(stub.asked("POST", "/recurringruns")) == 1
    assert stub.asked("DELETE") == []


@pytest.mark.parametrize("change", ["cron", "parameters", "version", "root", "account", "experiment"])
def test_changed_schedule_is_made_anew_before_the_old_one_goes(
    change: str, stub: KfpStub, api: Api, wanted: Schedule, tmp_path: Path
):
    first = schedule(api, wanted)
    match change:
        case "cron":
            wanted = replace(wanted, cron="0 0 4 * * *")
        case "parameters":
            wanted = replace(wanted, parameters={**wanted.parameters, "tuning_seconds": 60})
        case "version":
            wanted = replace(wanted, version=upload(api, small_pipeline(tmp_path), "0.1.0-bbb"))
        case "root":
            api = connect(settings_of(stub, tmp_path, pipeline_root="s3://elsewhere"))
        case "account":
            api = connect(settings_of(stub, tmp_path, service_account="other"))
        case "experiment":
            api = connect(settings_of(stub, tmp_path, experiment="other"))

    second = schedule(api, wanted)

    assert (second.done, second.removed) == ("replaced", (first.recurring_run_id,))
    assert there(stub) == [second.recurring_run_id]
    changes = [one.method for one in stub.requests if one.path.startswith("/recurringruns")]
    assert changes == ["GET", "POST", "GET", "POST", "DELETE"]


def test_disabled_schedule_is_made_anew(stub: KfpStub, api: Api, wanted: Schedule):
    first = schedule(api, wanted)
    stub.state.recurring_runs[first.recurring_run_id]["mode"] = "DISABLE"  # by somebody on the page

    assert schedule(api, wanted).done == "replaced"
    assert [one["mode"] for one in stub.state.recurring_runs.values()] == ["ENABLE"]


def test_failure_to_make_the_new_one_leaves_the_old_one(stub: KfpStub, api: Api, wanted: Schedule):
    first = schedule(api, wanted)
    stub.fail(500, "POST", "/recurringruns")

    with pytest.raises(PipelineApiError, match="500"):
        schedule(api, replace(wanted, cron="0 0 4 * * *"))

    assert there(stub) == [first.recurring_run_id]


def test_failure_to_remove_the_old_one_is_cleared_up_next_time(stub: KfpStub, api: Api, wanted: Schedule):
    first = schedule(api, wanted)
    later = replace(wanted, cron="0 0 4 * * *")
    stub.fail(500, "DELETE", times=3)
    with pytest.raises(PipelineApiError, match="500"):
        schedule(api, later)
    assert len(there(stub)) == 2

    again = schedule(api, later)

    assert (again.done, again.removed) == ("unchanged", (first.recurring_run_id,))
    assert there(stub) == [again.recurring_run_id]


def test_old_one_that_has_gone_meanwhile_is_no_error(stub: KfpStub, api: Api, wanted: Schedule):
    schedule(api, wanted)
    # The first try deletes it, and its answer is lost; the second finds nothing.
    stub.fail("lost", "DELETE")

    assert schedule(api, replace(wanted, cron="0 0 4 * * *")).done == "replaced"
    assert len(there(stub)) == 1


def test_schedules_of_other_names_are_left_alone(stub: KfpStub, api: Api, wanted: Schedule):
    other = schedule(api, replace(wanted, name="Nightly"))
    mine = schedule(api, wanted)
    schedule(api, replace(wanted, cron="0 0 4 * * *"))

    assert remove(api, "nightly") != ()
    assert there(stub) == [other.recurring_run_id]
    assert mine.recurring_run_id not in there(stub)
    assert remove(api, "nightly") == ()


# --- cron


@pytest.mark.parametrize(
    "text",
    [
        NIGHTLY,
        "*/15 * * * * *",
        "0 30 2 ? * MON-FRI",
        "0 0 9-17/2 1,15 jan-jun/2 *",
        "0 0 0 29 2 *",
        "0 0 0 31 2 1",  # on Mondays, too: a weekday and a day of the month are alternatives
        "5/20 * * * * 0,6",
    ],
)
def test_cron_that_kubeflow_can_read_is_taken(text: str):
    assert check_cron(f"  {text.replace(' ', '   ')} ") == text


def test_cron_of_five_fields_is_told_that_seconds_come_first():
    with pytest.raises(ConfigError, match="five fields: seconds come first") as caught:
        check_cron("0 3 * * *")
    assert caught.value.remedy == 'Say "0 0 3 * * *".'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has 0 fields"),
        ("@daily", "has 1 fields"),
        ("0 0 0 3 * * *", "has 7 fields"),
        ("60 0 3 * * *", "'60' for seconds, which is 0 to 59"),
        ("0 60 3 * * *", "'60' for minutes"),
        ("0 0 24 * * *", "'24' for hours, which is 0 to 23"),
        ("0 0 3 0 * *", "'0' for day of the month, which is 1 to 31"),
        ("0 0 3 * 13 *", "'13' for month"),
        ("0 0 3 * * 7", "'7' for day of the week, which is 0 to 6"),
        ("0 0 3 * * jan", "'jan' for day of the week"),
        ("0 0 3 * * *,x", "'x' for day of the week"),
        ("0 0 17-9 * * *", "'17-9' for hours, which is never"),
        ("0 */0 3 * * *", "for minutes, which is never"),
        ("0 -1 3 * * *", "'-1' for minutes"),
        ("0 0 3 L * *", "'l' for day of the month"),
        ("0 0 0 30 2 *", "a day that none of its months has"),
        ("0 0 0 31 4,6,9,11 ?", "a day that none of its months has"),
    ],
)
def test_cron_that_never_fires_or_does_not_fit_is_refused(text: str, says: str):
    with pytest.raises(ConfigError, match=says):
        check_cron(text)


@given(st.text(alphabet="0123456789*/,-? abcjanmon", max_size=30))
def test_cron_of_any_text_is_taken_or_refused_in_words(text: str):
    try:
        said = check_cron(text)
    except ConfigError as error:
        said = error.problem
    assert len(said.split(" ")) == 6 or said.startswith("--cron = ")
