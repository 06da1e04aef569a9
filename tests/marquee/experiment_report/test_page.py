"""The page: what comes from data is escaped, and what is not known is a dash."""

from datetime import UTC, datetime

from marquee.experiment_report.analysis import NO_LOOK, ExperimentResult, ReportConfig, TreatmentResult
from marquee.experiment_report.decision_file import decision_values
from marquee.experiment_report.page import number, percent, render_experiment
from marquee.experiment_report.sources import EventLog, ExposureLog
from marquee.experiments.comparison import Comparison
from marquee.experiments.decision import Decision
from marquee.experiments.srm import SampleRatio
from marquee.monitoring.exposure_frame import assignments_frame, to_frame
from marquee.monitoring.request_frame import requests_frame
from tests.marquee.experiment_report.made_logs import events_of

NASTY = "<script>alert(1)</script>"


def test_page_escapes_names_and_shows_what_is_unknown_as_a_dash():
    nan = float("nan")
    nothing = Comparison(0.0, 0.0, 2, 2, 0.0, 0.0, nan, nan)
    treatment = TreatmentResult({"ctr": nothing}, {"ctr": NO_LOOK}, (), (), Decision("continue", (NASTY,)))
    ratio = SampleRatio({"control": 2, NASTY: 2}, {"control": 2.0, NASTY: 2.0}, 0.0, 1, 1.0, False)
    result = ExperimentResult(
        NASTY, "control", datetime(2024, 1, 1, tzinfo=UTC), ratio, ({"control": 0.5, NASTY: 0.5},),
        {NASTY: treatment}, (NASTY,),
    )  # fmt: skip
    log = ExposureLog(to_frame([]), requests_frame([]), assignments_frame([]), {NASTY: "0"}, 0)
    values = decision_values(result, log, EventLog(events_of(), NASTY, "0"), config=ReportConfig())

    page = render_experiment(result, values)

    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 6
    assert values["treatments"][NASTY]["comparisons"]["ctr"]["lift"] is None
    assert "– to –" in page


def test_numbers_as_people_read_them():
    assert [number(0.123456), number(-12345.678), number(float("inf"))] == ["0.1235", "−1.235e+04", "–"]
    assert [percent(0.1), percent(-0.005), percent(float("nan"))] == ["+10.00%", "−0.50%", "–"]
