"""A finished run's page, with the search for its ranker where there was one."""

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from marquee.bundle import read_manifest
from marquee.config import TrainingConfig
from marquee.data.storage import write_atomically
from marquee.errors import ConfigError, MarqueeError
from marquee.evaluation.report import render_evaluation
from marquee.run_folder import BUNDLE, CONFIG, REPORT, read_metrics
from marquee.settings import Settings
from marquee.studies import STUDY, StudyOfRun, copy_study, find_study, found_ranker

if TYPE_CHECKING:
    from marquee.ranking.search import SearchResult


def include_study(run: Path, settings: Settings) -> StudyOfRun:
    """Put the search that belongs to a finished run into its folder and on its page.

    Never an error: a run is worth as much without pictures of a search.
    """
    found = study_of(run, settings)
    if found.path is None:
        return found
    try:
        copy_study(found.path, run / STUDY)
        write_atomically(run / REPORT, page_of(run, run / STUDY).encode())
    except (MarqueeError, OSError) as error:
        return StudyOfRun(note=error.problem if isinstance(error, MarqueeError) else str(error))
    return found


def study_of(run: Path, settings: Settings) -> StudyOfRun:
    """The search among those of a run's data set that belongs to the run; none where a file of it is torn."""
    if not (run / CONFIG).is_file() or not (run / BUNDLE).is_dir():
        return StudyOfRun()
    try:
        manifest, config = read_manifest(run / BUNDLE), TrainingConfig.from_file(run / CONFIG)
    except MarqueeError as error:
        return StudyOfRun(note=error.problem)
    studies = settings.studies(manifest.provenance["warehouse"])
    return find_study(studies, snapshot=manifest.content["snapshot"], config=config)


def page_of(run: Path, study: Path | None) -> str:
    """The page of a run, with a search's pictures where one is given."""
    section = None if study is None else _section(study, run)
    return render_evaluation(read_metrics(run), run=run.name, study=section)


def _section(path: Path, run: Path) -> str:
    """The pictures of a search, and whether it found the run's ranker."""
    # Both bring Optuna, which a run without a search does without.
    from marquee.ranking.search import read_study  # noqa: PLC0415
    from marquee.ranking.study_pictures import study_section  # noqa: PLC0415

    result, space = read_study(path)
    section = study_section(result, space)
    if (is_its_best := _is_of_run(result, run)) is None:
        return section
    words = f"This run's ranker is {'' if is_its_best else 'not '}the best of these trials."
    return Markup("{}<p>{}</p>").format(Markup(section), words)  # noqa: S704 - rendered by our own template


def _is_of_run(result: "SearchResult", run: Path) -> bool | None:
    """Whether a search found a run's ranker; None where the run's recipe can't be read."""
    try:
        return found_ranker(result, TrainingConfig.from_file(run / CONFIG))
    except ConfigError:
        return None
