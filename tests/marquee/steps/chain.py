"""The steps in one process, up to the ranker, on the data set that trains in a second."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from marquee.observing import SilentObserver
from marquee.settings import Settings
from marquee.steps.build_features import build_features
from marquee.steps.build_training_set import build_training_set
from marquee.steps.ingest_interactions import ingest_interactions
from marquee.steps.knobs import config_text
from marquee.steps.reading import reading
from marquee.steps.task import Task
from marquee.steps.train_candidates import train_candidates
from marquee.steps.train_ranker import train_ranker
from tests.small_run import DATASET, NOW, Place, recipe


@dataclass(frozen=True)
class Chain:
    """Folders of steps, each made when it is asked for."""

    place: Place

    @property
    def settings(self) -> Settings:
        return self.place.settings

    @property
    def task(self) -> Task:
        return Task(self.settings, {}, NOW, SilentObserver())

    @property
    def config(self) -> str:
        return config_text(recipe())

    def folder(self, name: str) -> Path:
        return self.place.root / "steps" / name

    @cached_property
    def data(self) -> Path:
        source = str(self.place.root / "source")
        out = self.folder("data")
        ingest_interactions(DATASET, out, source=source, config=self.config, task=self.task)
        return out

    @cached_property
    def features(self) -> Path:
        out = self.folder("features")
        build_features(self.data, out, config=self.config, for_training=True, task=self.task)
        return out

    @cached_property
    def rows(self) -> Path:
        out = self.folder("rows")
        with reading(self.features, self.task) as state:
            build_training_set(self.data, out, state=state, config=self.config, task=self.task)
        return out

    @cached_property
    def ranker(self) -> Path:
        train_ranker(self.rows, self.folder("ranker"), config=self.config, task=self.task)
        return self.folder("ranker")

    @cached_property
    def candidates(self) -> Path:
        out = self.folder("candidates")
        with reading(self.features, self.task) as state:
            train_candidates(self.data, out, state=state, config=self.config, task=self.task)
        return out
