"""A compiled pipeline on this machine: kfp's local runner, its noise in a file, and what came of it.

    runs/.pipeline/<pipeline>-<hash of code>.yaml   the compiled graph, made once
    runs/.pipeline/<hash of code and parameters>/
      pipeline.yaml   what ran
      pipeline.log    all that runner and steps wrote
      root/           the steps' folders
      cache/          of finished steps: a run that failed goes on where it stopped

The folder goes when the run has succeeded, or after a week in which nobody went on with it.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from marquee.data.storage import write_atomically
from marquee.errors import StepError
from marquee.observing import Observer
from pipelines.kfp_alone import import_kfp_alone
from pipelines.narrator import Narrator, Step

Runner = Literal["subprocess", "docker"]
WORK: Final = ".pipeline"
LOG: Final = "pipeline.log"
COMPILED: Final = "pipeline.yaml"
KEPT_SECONDS: Final = 7 * 24 * 3600
KEPT_GRAPHS: Final = 3
DEV_IMAGE: Final = "marquee-python:dev"
"""What `make image` builds."""
_ROOMS: Final = ("marquee", "components", "pipelines", "feature_repo", "requirements")
_OUTPUTS: Final = "executor_output.json"
ROOT: Final = Path(__file__).resolve().parents[1]


class PipelineFailedError(StepError):
    """A step failed."""

    def __init__(self, problem: str, *, remedy: str, step: Step | None) -> None:
        super().__init__(problem, remedy=remedy)
        self.step = step


@dataclass(frozen=True)
class LocalRun:
    """A pipeline that ran to its end."""

    root: Path
    """Folder of the steps' folders."""
    steps: tuple[Step, ...]
    cacheable: frozenset[str] = frozenset()
    """Steps whose work may be reused."""

    def folder(self, step: str, artifact: str) -> Path | None:
        """What a step wrote, None where it did not run."""
        outputs = self._outputs(step)
        found = outputs.get("artifacts", {}).get(artifact, {}).get("artifacts", []) if outputs else []
        return Path(found[0]["uri"]) if found else None

    def value(self, step: str) -> Any:  # noqa: ANN401 - whatever the step returns
        """What a step returned, None where it did not run."""
        outputs = self._outputs(step)
        return outputs.get("parameterValues", {}).get("Output") if outputs else None

    @property
    def reused(self) -> tuple[str, ...]:
        """Steps that an earlier try finished and this one did not repeat."""
        finished = {path.parent.name for path in self.root.glob(f"*/*/{_OUTPUTS}")}
        repeated = {step.name for step in self.steps}
        return tuple(sorted((finished & self.cacheable) - repeated))

    def _outputs(self, step: str) -> dict[str, Any] | None:
        # A step that was taken from the cache wrote into the folder of an earlier try.
        places = sorted(self.root.glob(f"*/{step}/{_OUTPUTS}"), reverse=True)
        return json.loads(places[0].read_text(encoding="utf-8")) if places else None


@contextlib.contextmanager
def run_local(
    name: str,
    parameters: Mapping[str, Any],
    *,
    runs: Path,
    observer: Observer,
    runner: Runner = "subprocess",
) -> Iterator[LocalRun]:
    """Compile a pipeline, run the YAML, and hand out what the steps wrote until the block ends.

    Args:
        name: of the pipeline.
        parameters: its arguments; `run_id` and `reason` don't keep a finished step from being reused.
        runs: the runs folder.
        observer: hears the steps.
        runner: processes of this machine, or containers of the project's image.

    Raises:
        PipelineFailedError: a step failed; its log stays.
    """
    version = code_version()
    # What the cache knows of the code is the image's name: an edit must be another one.
    os.environ.setdefault("MARQUEE_IMAGE", DEV_IMAGE if runner == "docker" else f"marquee-python:{version}")
    os.environ["MARQUEE_RUNS"] = str(runs.resolve())
    import_kfp_alone()
    with _work_folder(runs, name, parameters, version) as work:
        compiled = _compiled(name, work, version)
        narrator = _execute(compiled, parameters, observer, runner)
        yield LocalRun(work / "root", tuple(narrator.steps), cacheable(compiled))
        shutil.rmtree(work)


def _execute(compiled: Path, parameters: Mapping[str, Any], observer: Observer, runner: Runner) -> Narrator:
    """Run a compiled pipeline in its folder."""
    warnings.filterwarnings("ignore", module="kfp")  # limits and secrets have no effect here: meant so
    from kfp import components, local

    work = compiled.parent
    local.init(
        _runner(runner, str(parameters.get("source", ""))),
        pipeline_root=str(work / "root"),
        enable_caching=True,
        cache_root=str(work / "cache"),
    )
    with (work / LOG).open("a", encoding="utf-8") as log:
        narrator = Narrator(log, observer)
        with contextlib.redirect_stdout(narrator), _logged_to(log):
            try:
                components.load_component_from_file(str(compiled))(**parameters)
            except RuntimeError as error:
                raise _failure(narrator, error, work / LOG) from error
    return narrator


def _compiled(name: str, work: Path, version: str) -> Path:
    """The YAML in the work folder. The graph follows from code and image, of which a run before kept it."""
    key = hashlib.sha256(f"{version} {os.environ['MARQUEE_IMAGE']}".encode()).hexdigest()[:16]
    kept = work.parent / f"{name}-{key}.yaml"
    if not kept.is_file():
        from pipelines.compile import compile_pipeline

        write_atomically(kept, compile_pipeline(name, work / COMPILED, retries=0).read_bytes())
        _keep_newest(work.parent, f"{name}-*.yaml")
    shutil.copyfile(kept, work / COMPILED)
    return work / COMPILED


def _keep_newest(place: Path, pattern: str) -> None:
    """Forget all but the last few of the graphs that were kept."""
    for old in sorted(place.glob(pattern), key=lambda path: path.stat().st_mtime)[:-KEPT_GRAPHS]:
        old.unlink(missing_ok=True)


def _failure(narrator: Narrator, error: RuntimeError, log: Path) -> PipelineFailedError:
    step = narrator.failed
    where = f"step {step.name} failed" if step else f"the pipeline failed: {error}"
    return PipelineFailedError(
        f"{where}.",
        remedy=f"Mend what it says and run again: finished steps are reused. All of the log: {log}",
        step=step,
    )


def _runner(name: Runner, source: str) -> Any:  # noqa: ANN401 - kfp has no common type
    from kfp import local

    if name == "subprocess":
        return local.SubprocessRunner(use_venv=False)
    from pipelines.docker_runner import docker_runner

    return docker_runner(os.environ["MARQUEE_IMAGE"], source=source)


@contextlib.contextmanager
def _logged_to(log: Any) -> Iterator[None]:  # noqa: ANN401 - a text file
    """Warnings of kfp about skipped branches and cache hits go to the root logger: keep them, too."""
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


@contextlib.contextmanager
def _work_folder(runs: Path, name: str, parameters: Mapping[str, Any], version: str) -> Iterator[Path]:
    """The folder of this very work; one of its own where another process is at it."""
    lasting = {key: value for key, value in parameters.items() if key not in {"run_id", "reason"}}
    key = hashlib.sha256(json.dumps([version, name, lasting], sort_keys=True).encode()).hexdigest()[:16]
    place = runs.resolve() / WORK
    place.mkdir(parents=True, exist_ok=True)
    _forget_old(place, before=time.time() - KEPT_SECONDS)
    for attempt in range(100):
        work = place / (key if attempt == 0 else f"{key}-{attempt}")
        with (place / f".{work.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            work.mkdir(exist_ok=True)
            yield work
            return
    raise StepError(f"{place} is in use by a hundred runs.", remedy="Wait for them, or set --runs.")


def _forget_old(place: Path, *, before: float) -> None:
    """Remove the work that nobody went on with for long, and its lock."""
    for lock_file in place.glob(".*.lock"):
        with lock_file.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            work = place / lock_file.name.removeprefix(".").removesuffix(".lock")
            if lock_file.stat().st_mtime < before:
                shutil.rmtree(work, ignore_errors=True)
                lock_file.unlink()


def cacheable(compiled: Path) -> frozenset[str]:
    """The tasks of a compiled pipeline whose work a cache may answer."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times faster
    spec = next(iter(yaml.load_all(compiled.read_text(encoding="utf-8"), loader)))
    dags = [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]
    tasks = (item for dag in dags for item in dag["tasks"].items())
    return frozenset(name for name, task in tasks if task.get("cachingOptions", {}).get("enableCache"))


def code_version() -> str:
    """Hash of the source that graphs are made of and that steps run."""
    digest = hashlib.sha256()
    for room in _ROOMS:
        for file in sorted((ROOT / room).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
