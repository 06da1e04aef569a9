"""MovieLens in the layouts of GroupLens (100k, 1M, and the CSVs since 20M) and of RecBole's atomic files.

The layout is recognised by the file names, in a folder or a zip alike.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import polars as pl

from marquee import schema
from marquee.data.datasets.archive import Listing, list_files, take_files
from marquee.data.datasets.publicity import precise_date
from marquee.data.datasets.raw import Progress, RawDataset, conform
from marquee.data.datasets.side_tables import Issues, first_of_each, read_csv, read_delimited
from marquee.data.datasets.titles import read_title
from marquee.data.mapping import Mapping
from marquee.errors import SourceError

Row = dict[str, Any]
Files = dict[str, Path]
TableReader = Callable[[Files, Issues], Iterable[Row]]

# The order of the flags in u.item, from u.genre of the same zip.
_GENRE_FLAGS: Final = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *(
        "Fantasy",
        "Film-Noir",
        "Horror",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
        "War",
        "Western",
    ),
)
_NO_GENRE: Final = frozenset({"unknown", "(no genres listed)", ""})
# Item 267 of ML-100k is a movie that nobody identified; RecBole spells it "unkonwn", in title and year.
_NO_TITLE: Final = frozenset({"unknown", "unkonwn"})
_UNDER_18: Final = "1"  # of ML-1M: a band, not an age
# From the README of ml-1m.
_OCCUPATIONS_1M: Final = (
    *("other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service"),
    *(
        "doctor/health care",
        "executive/managerial",
        "farmer",
        "homemaker",
        "K-12 student",
        "lawyer",
        "programmer",
    ),
    *(
        "retired",
        "sales/marketing",
        "scientist",
        "self-employed",
        "technician/engineer",
        "tradesman/craftsman",
    ),
    *("unemployed", "writer"),
)


@dataclass(frozen=True)
class Layout:
    """How MovieLens is laid out; `{stem}` stands for the event file's name without suffix."""

    events: str  # name, or pattern of it
    preset: str  # of the mapping
    users: str | None
    movies: str
    links: str | None
    read_users: TableReader | None
    read_movies: TableReader
    notes: tuple[str, ...] = ()

    def side_files(self, events: str) -> dict[str, str]:
        """Role to file name of the tables that may stand beside the event file."""
        stem = events.rpartition(".")[0]
        names = {"users": self.users, "movies": self.movies, "links": self.links}
        return {role: name.format(stem=stem) for role, name in names.items() if name}


def load_movielens(name: str, root: Path, *, work: Path, source: str, on_progress: Progress) -> RawDataset:
    """Read a folder or zip in any of the layouts; `source` names it in the manifest.

    Users have age, gender, occupation and zip code (as `location`) where the layout has them. Each
    movie is of kind "movie": that is what the data set says it lists.

    Args:
        name: of the data set, for the manifest.
        root: folder or zip.
        work: folder that members of a zip are unpacked to.
        source: where it came from.
        on_progress: called while unpacking.

    Raises:
        SourceError: no known layout, or a file of it can't be read.
    """
    listing = list_files(root)
    layout, folder, events = _detect(listing)
    roles = {"events": events} | {
        role: file
        for role, file in layout.side_files(events).items()
        if file in listing.names_by_folder[folder]
    }
    taken = take_files(listing, list(roles.values()), folder=folder, into=work, on_progress=on_progress)
    files = {role: taken[file] for role, file in roles.items()}
    issues = Issues()
    return RawDataset(
        name=name,
        interactions=(files["events"],),
        mapping=Mapping.preset(layout.preset),
        source=source,
        users=_users(layout, files, issues) if "users" in files else None,
        movies=_movies(layout, files, issues) if "movies" in files else None,
        notes=layout.notes if "users" in files else (),
        issues=issues.to_table(),
    )


def _detect(listing: Listing) -> tuple[Layout, str, str]:
    """The layout, its folder and its event file; the shallowest folder wins."""
    for folder, names in listing.names_by_folder.items():
        for layout in LAYOUTS:
            if events := next((name for name in names if fnmatch(name, layout.events)), None):
                return layout, folder, events
    seen = [name for names in listing.names_by_folder.values() for name in names][:5]
    raise SourceError(
        f"{listing.root} holds no MovieLens data: found {', '.join(seen) or 'no file at all'}.",
        remedy=f"Give a folder or zip with one of {', '.join(layout.events for layout in LAYOUTS)}.",
    )


def _users(layout: Layout, files: Files, issues: Issues) -> pl.DataFrame | None:
    if layout.read_users is None:
        return None
    rows = list(layout.read_users(files, issues))
    columns = (schema.USER_ID, schema.AGE, schema.GENDER, schema.LOCATION, schema.OCCUPATION)
    table = pl.DataFrame(rows, schema={column: schema.USERS_SCHEMA[column] for column in columns})
    table = first_of_each(table, schema.USER_ID, source=files["users"], issues=issues)
    texts = pl.col(schema.GENDER, schema.LOCATION, schema.OCCUPATION)
    return conform(table.with_columns(texts.str.strip_chars().replace("", None)), name=schema.USERS)


def _movies(layout: Layout, files: Files, issues: Issues) -> pl.DataFrame:
    released: dict[str, pl.DataType] = {schema.RELEASED_ON: pl.String()}
    columns = (schema.ITEM_ID, schema.TITLE, schema.YEAR, schema.RELEASED_ON, schema.GENRES, schema.IMDB_ID)
    rows = list(layout.read_movies(files, issues))
    table = pl.DataFrame(rows, schema={column: schema.MOVIES_SCHEMA[column] for column in columns} | released)
    table = first_of_each(table, schema.ITEM_ID, source=files["movies"], issues=issues)
    table = table.with_columns(precise_date(table[schema.RELEASED_ON]), pl.lit("movie").alias(schema.KIND))
    return conform(table, name=schema.MOVIES)


def _movie(item_id: str, filed: str, *, genres: Iterable[str], year: int | None = None) -> Row:
    title = read_title(filed)
    return {
        schema.ITEM_ID: item_id,
        schema.TITLE: None if filed in _NO_TITLE else title.text,
        schema.YEAR: year if year is not None else title.year,
        schema.GENRES: [genre for genre in genres if genre not in _NO_GENRE],
    }


def _movies_of_u_item(files: Files, issues: Issues) -> Iterable[Row]:
    n_fields = 5 + len(_GENRE_FLAGS)  # id, title, release date, video date, IMDb address, flags
    for _, fields in read_delimited(
        files["movies"], "|", encoding="latin-1", n_fields=n_fields, issues=issues
    ):
        genres = [genre for genre, flag in zip(_GENRE_FLAGS, fields[5:], strict=True) if flag.strip() == "1"]
        yield _movie(fields[0], fields[1], genres=genres) | {schema.RELEASED_ON: fields[2]}


def _movies_of_recbole(files: Files, issues: Issues) -> Iterable[Row]:
    path = files["movies"]
    for _, fields in read_delimited(
        path, "\t", encoding="utf-8", n_fields=4, issues=issues, skip_header=True
    ):
        # The year is a column of its own, and wrong where the title did not end with it: item 1412
        # has "V" (for video) there and keeps "(1995)" in the title.
        year = int(fields[2]) if fields[2].isascii() and fields[2].isdigit() else None
        yield _movie(fields[0], fields[1], genres=fields[3].split(" "), year=year)


def _movies_of_1m(files: Files, issues: Issues) -> Iterable[Row]:
    for _, fields in read_delimited(files["movies"], "::", encoding="latin-1", n_fields=3, issues=issues):
        yield _movie(fields[0], fields[1], genres=fields[2].split("|"))


def _movies_of_csv(files: Files, issues: Issues) -> Iterable[Row]:
    imdb_ids: dict[str, str] = {}
    if "links" in files:
        rows = read_csv(files["links"], ("movieId", "imdbId"), issues=issues)
        imdb_ids = {row["movieId"]: f"tt{row['imdbId']:0>7}" for _, row in rows if row["imdbId"]}
    for _, row in read_csv(files["movies"], ("movieId", "title", "genres"), issues=issues):
        movie = _movie(row["movieId"], row["title"], genres=row["genres"].split("|"))
        yield movie | {schema.IMDB_ID: imdb_ids.get(row["movieId"])}


def _user(user_id: str, *, age: int | None, gender: str, occupation: str, zip_code: str) -> Row:
    return {
        schema.USER_ID: user_id,
        schema.AGE: age,
        schema.GENDER: gender,
        schema.OCCUPATION: occupation,
        schema.LOCATION: zip_code,
    }


def _users_of_u_user(files: Files, issues: Issues) -> Iterable[Row]:
    return _users_of_100k(files["users"], "|", header=False, issues=issues)


def _users_of_recbole(files: Files, issues: Issues) -> Iterable[Row]:
    return _users_of_100k(files["users"], "\t", header=True, issues=issues)


def _users_of_100k(path: Path, delimiter: str, *, header: bool, issues: Issues) -> Iterable[Row]:
    lines = read_delimited(path, delimiter, encoding="utf-8", n_fields=5, issues=issues, skip_header=header)
    for line, (user_id, age_text, gender, occupation, zip_code) in lines:
        age = issues.number(age_text, source=path, line=line, column=schema.AGE)
        yield _user(user_id, age=age, gender=gender, occupation=occupation, zip_code=zip_code)


def _users_of_1m(files: Files, issues: Issues) -> Iterable[Row]:
    path = files["users"]
    lines = read_delimited(path, "::", encoding="latin-1", n_fields=5, issues=issues)
    for line, (user_id, gender, age_text, code_text, zip_code) in lines:
        band = None if age_text == _UNDER_18 else age_text
        age = issues.number(band, source=path, line=line, column=schema.AGE) if band else None
        code = issues.number(code_text, source=path, line=line, column=schema.OCCUPATION)
        occupation = _OCCUPATIONS_1M[code] if code is not None and code < len(_OCCUPATIONS_1M) else ""
        yield _user(user_id, age=age, gender=gender, occupation=occupation, zip_code=zip_code)


LAYOUTS: Final = (
    Layout(
        events="u.data",
        preset="movielens-u-data",
        users="{stem}.user",
        movies="{stem}.item",
        links=None,
        read_users=_users_of_u_user,
        read_movies=_movies_of_u_item,
        notes=("location is the zip code",),
    ),
    Layout(
        events="*.inter",
        preset="recbole-inter",
        users="{stem}.user",
        movies="{stem}.item",
        links=None,
        read_users=_users_of_recbole,
        read_movies=_movies_of_recbole,
        notes=("location is the zip code",),
    ),
    Layout(
        events="ratings.dat",
        preset="movielens-ratings-dat",
        users="users.dat",
        movies="movies.dat",
        links=None,
        read_users=_users_of_1m,
        read_movies=_movies_of_1m,
        notes=("location is the zip code", "age is the lower end of its band, null for the band under 18"),
    ),
    Layout(
        events="ratings.csv",
        preset="movielens-ratings-csv",
        users=None,
        movies="movies.csv",
        links="links.csv",
        read_users=None,
        read_movies=_movies_of_csv,
    ),
)
