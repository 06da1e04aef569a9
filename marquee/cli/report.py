"""`marquee report`: a finished run's measurements as one page to read."""

from pathlib import Path
from typing import Final

from marquee.cli.render import OUT, print_json
from marquee.config import Settings
from marquee.data.storage import write_atomically
from marquee.errors import ConfigError
from marquee.evaluation.report import render_evaluation
from marquee.run_folder import REPORT, find_run, read_metrics

STUDY: Final = "study.db"


def report_and_show(
    run: Path | None, *, out: Path | None, study: Path | None, runs: Path | None, as_json: bool
) -> None:
    """Write the page of a run, beside its metrics unless another place is named.

    Raises:
        RunError: there is no such run.
        ConfigError: the study can't be read, or the page can't be written.
    """
    folder = find_run(runs or Settings.from_environment().runs, run)
    page = render_evaluation(read_metrics(folder), run=folder.name, study=_study_section(study, folder))
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
        print_json({"page": str(to), "run": str(folder), "bytes": len(page.encode())})
    else:
        OUT.print(f"{to}: {len(page.encode()) / 1000:,.0f} kB", soft_wrap=True)


def _study_section(given: Path | None, run: Path) -> str | None:
    """The pictures of a search: the one given, else the one that lies in the run's folder."""
    path = given / STUDY if given is not None and given.is_dir() else given
    if path is None and (run / STUDY).is_file():
        path = run / STUDY
    if path is None:
        return None
    from marquee.ranking.search import read_study
    from marquee.ranking.study_pictures import study_section

    return study_section(*read_study(path))
