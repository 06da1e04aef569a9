"""What the server's measurements have in common: MovieLens-100k's bundle, its users online in a Redis."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.online_features import REDIS_PROFILE, filled, redis_server
from benchmarks.served import DATASET, ROOT, Cores, Served, loaded, run_of, served, write_people
from marquee.settings import Settings


@dataclass(frozen=True)
class Stage:
    """Everything but the server."""

    folder: Path
    model_dir: Path
    people: Path
    environment: Mapping[str, str]
    cores: Cores
    store: str

    @contextmanager
    def server(
        self, name: str, *options: str, module: str = "serving", root: Path = ROOT
    ) -> Iterator[Served]:
        """One of its own log and exposures, on the servers' core."""
        environment = {**self.environment, "MARQUEE_EXPOSURES": str(self.folder / name)}
        log, core = self.folder / f"{name}.log", self.cores.server
        with served(
            log, self.model_dir, *options, module=module, environment=environment, core=core, root=root
        ) as found:
            yield found

    def load(self, server: Served, *words: str) -> dict[str, Any]:
        """Figures of a load from the other core."""
        return loaded(server, self.people, *words, core=self.cores.others)


@contextmanager
def stage() -> Iterator[Stage]:
    """Redis with all users' rows, on the clients' core; SQLite, and said so, where no Redis is installed."""
    settings = Settings.from_environment()
    with tempfile.TemporaryDirectory() as made, redis_server(Path(made)) as redis:
        folder = Path(made)
        model_dir = run_of(DATASET, settings.runs, folder / "runs")
        people = folder / "people.json"
        write_people(people, model_dir, settings)
        cores = Cores.found()
        environment: dict[str, str] = {}
        if redis is not None:
            address, pid = redis
            if cores.others is not None:
                os.sched_setaffinity(pid, {cores.others})
            profile = folder / "redis.yaml"
            registry = str(folder / "registry.db")  # the data set's own state stays as it is
            text = REDIS_PROFILE.replace("${MARQUEE_STATE}/redis_registry.db", registry)
            profile.write_text(text, encoding="utf-8")
            environment = {"REDIS_ADDRESS": address, "MARQUEE_PROFILE": str(profile)}
            state = {**environment, "MARQUEE_STATE": str(settings.state(DATASET).resolve())}
            filled(str(profile), state)
        store = "SQLite" if redis is None else "Redis"
        yield Stage(folder, model_dir, people, environment, cores, store)
