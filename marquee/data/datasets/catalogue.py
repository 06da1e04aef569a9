"""The data sets by name: what there is, how large, under which terms, and where it is published."""

from dataclasses import dataclass
from typing import Final

from marquee.data.datasets.download import PinnedWheel

_RESEARCH_ONLY: Final = "GroupLens: research use with acknowledgement, no commercial use, no redistribution"
_GROUPLENS: Final = "https://files.grouplens.org/datasets/movielens"


@dataclass(frozen=True)
class DatasetInfo:
    """One entry of the catalogue."""

    name: str
    description: str
    size: str
    licence: str
    url: str | None = None
    known_hash: str | None = None  # "sha256:…" or "md5:…"; None where the publisher may replace the file
    wheel: PinnedWheel | None = None  # the next source where the URL can't be reached
    country: str | None = None  # ISO 3166-1, whose calendar its users mostly keep


RECBOLE_WHEEL: Final = PinnedWheel(
    project="recbole",
    version="1.2.1",
    filename="recbole-1.2.1-py3-none-any.whl",
    sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    n_bytes=2_130_151,
)

CATALOGUE: Final = (
    DatasetInfo(
        name="ml-100k",
        country="US",
        description="MovieLens 100K, the default: 1997-98, with demographics",
        size="100,000 ratings, 943 users, 1,682 movies; 5 MB",
        licence=_RESEARCH_ONLY,
        url=f"{_GROUPLENS}/ml-100k.zip",
        known_hash="sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        wheel=RECBOLE_WHEEL,
    ),
    DatasetInfo(
        name="ml-1m",
        country="US",
        description="MovieLens 1M: 2000-03, with demographics",
        size="1,000,209 ratings, 6,040 users, 3,883 movies; 6 MB",
        licence=_RESEARCH_ONLY,
        url=f"{_GROUPLENS}/ml-1m.zip",
        known_hash="sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    ),
    DatasetInfo(
        name="ml-latest-small",
        description="MovieLens latest, small: 1996-2018, with IMDb ids; for development only",
        size="100,836 ratings, 610 users, 9,742 movies; 1 MB",
        licence="GroupLens: research and non-commercial use, redistribution under the same terms",
        url=f"{_GROUPLENS}/ml-latest-small.zip",
    ),
    DatasetInfo(
        name="ml-25m",
        description="MovieLens 25M: 1995-2019, with IMDb ids",
        size="25,000,095 ratings, 162,541 users, 62,423 movies; 262 MB",
        licence=_RESEARCH_ONLY,
        url=f"{_GROUPLENS}/ml-25m.zip",
        known_hash="sha256:8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
    ),
    DatasetInfo(
        name="ml-32m",
        description="MovieLens 32M: 1995-2023, with IMDb ids",
        size="32,000,204 ratings, 200,948 users, 87,585 movies; 239 MB",
        licence=_RESEARCH_ONLY,
        url=f"{_GROUPLENS}/ml-32m.zip",
        known_hash="md5:d472be332d4daa821edc399621853b57",
    ),
    DatasetInfo(
        name="streaming-titles",
        description="catalogues of streaming services as a movie table, without events",
        size="the 12-column <service>_titles.csv files that you give",
        licence="not established: bring your own copy, do not redistribute",
    ),
    DatasetInfo(
        name="synthetic",
        description="seeded generator: tastes, popularity skew, sessions, context, drift",
        size="as configured, up to 20 million events",
        licence="Apache-2.0, made on this machine",
    ),
    DatasetInfo(
        name="folder",
        description="your own data: a folder with a mapping.yaml",
        size="any",
        licence="yours",
    ),
)


def home_country(name: str) -> str | None:
    """The country whose calendar a data set's users mostly keep; None where that is not known."""
    return next((info.country for info in CATALOGUE if info.name == name), None)


def dataset_names() -> tuple[DatasetInfo, ...]:
    """The catalogue, the default first."""
    return CATALOGUE
