"""`marquee report`: a finished run's measurements as one page to read, and the search for its ranker."""

from pathlib import Path

from marquee.cli.render import OUT, print_json
from marquee.data.storage import write_atomically
from marquee.errors import ConfigError
from marquee.run_folder import REPORT, find_run
from marquee.run_page import page_of, study_of
from marquee.settings import Settings
from marquee.studies import STUDY, StudyOfRun


def report_and_show(
    run: Path | None, *, out: Path | None, study: Path | None, runs: Path | None, as_json: bool
) -> None:
    """Write the page of a run, beside its metrics unless another place is named.

    Raises:
        RunError: there is no such run.
        ConfigError: the study can't be read, or the page can't be written.
    """
    settings = Settings.from_environment()
    folder = find_run(runs or settings.runs, run)
    shown = _study_to_show(study, folder, settings)
    page = page_of(folder, shown.path)
    to = out or folder / REPORT
    if to.is_dir():
        raise ConfigError(f"--out = {to} is a folder.", remedy="Name the file to write.")
    try:
        write_atomically(to, page.encode())
    except OSError as error:
        raise ConfigError(
            f"--out = {to} can't be written: {error.strerror}.", remedy="Name another file."
        ) from error
    if as_json:
        print_json({"page": str(to), "run": str(folder), "bytes": len(page.encode()), "study": shown.path})
        return
    OUT.print(f"{to}: {len(page.encode()) / 1000:,.0f} kB", soft_wrap=True)
    if shown.note:
        OUT.print(f"search: {shown.note}", markup=False, soft_wrap=True)


def _study_to_show(given: Path | None, run: Path, settings: Settings) -> StudyOfRun:
    """The search that is given, else the one in the run's folder, else the one that belongs to the run."""
    if given is not None:
        return StudyOfRun(given / STUDY if given.is_dir() else given)
    if (run / STUDY).is_file():
        return StudyOfRun(run / STUDY)
    return study_of(run, settings)
