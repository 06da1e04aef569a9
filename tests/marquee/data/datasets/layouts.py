"""The same invented ratings, users and movies in each layout of MovieLens, and ways to publish them."""

import hashlib
import sqlite3
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from marquee.data.datasets.download import PinnedWheel

RATINGS = (  # user, item, stars, seconds; user 7 rates two movies within one second
    ("7", "1", 5, 881250949),
    ("7", "267", 3, 881250949),
    ("8", "1412", 1, 891717742),
    ("8", "2", 4, 891717743),
)
_GENRE_FLAGS = {  # of u.item: unknown, Action, Adventure, Animation, Children's, Comedy, …
    "1": {3, 4},
    "2": {1},
    "267": {0},
    "1412": {3},
}


def u_data_files() -> dict[str, bytes]:
    """As the official ml-100k zip: u.item is latin-1."""
    movies = {
        "1": "Tin Owl, The (Chouette d'étain, La) (1995)|24-Jan-1997",
        "2": "Golden Elbow (1995)|01-Jan-1995",
        "267": "unknown|",
        "1412": "Meadow III: The Return (1995) (V)|01-Jan-1995",
    }
    flags = {
        item: "|".join("1" if flag in on else "0" for flag in range(19)) for item, on in _GENRE_FLAGS.items()
    }
    return {
        "u.data": "".join("\t".join(map(str, row)) + "\n" for row in RATINGS).encode(),
        "u.item": "".join(f"{item}|{text}||http://x|{flags[item]}\n" for item, text in movies.items()).encode(
            "latin-1"
        ),
        "u.user": b"7|24|M|technician|85711\n8|53|F|other|T8H1N\n",
    }


def recbole_files() -> dict[str, bytes]:
    """As RecBole's atomic files of ml-100k, with its two broken titles."""
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    movies = (
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "1\tTin Owl, The (Chouette d'étain, La)\t1995\tAnimation Children's\n"
        "2\tGolden Elbow\t1995\tAction\n"
        "267\tunkonwn\tunkonwn\tunknown\n"
        "1412\tMeadow III: The Return (1995)\tV\tAnimation\n"
    )
    users = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    return {
        "ml-100k.inter": (header + "".join("\t".join(map(str, row)) + "\n" for row in RATINGS)).encode(),
        "ml-100k.item": movies.encode(),
        "ml-100k.user": (users + "7\t24\tM\ttechnician\t85711\n8\t53\tF\tother\tT8H1N\n").encode(),
    }


def dat_files() -> dict[str, bytes]:
    """As ml-1m: two colons, latin-1, ages in bands, occupations as codes."""
    movies = "1::Chouette d'étain, La (1995)::Animation|Children's\n2::Golden Elbow (1995)::Action\n"
    return {
        "ratings.dat": "".join("::".join(map(str, row)) + "\n" for row in RATINGS).encode(),
        "users.dat": b"7::F::1::10::48067\n8::M::56::16::70072\n",
        "movies.dat": movies.encode("latin-1"),
    }


def csv_files() -> dict[str, bytes]:
    """As ml-latest-small and later: quoted CSV with links."""
    return {
        "ratings.csv": b"userId,movieId,rating,timestamp\n7,1,4.5,881250949\n",
        "movies.csv": (
            b'movieId,title,genres\n1,"Tin Owl, The  (1995) ",Adventure|Children\n'
            b"2,Golden Elbow,(no genres listed)\n3,Nobody Knows (2001),Drama\n"
        ),
        "links.csv": b"movieId,imdbId,tmdbId\n1,0114709,862\n2,12345678,\n",
    }


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes], *, folder: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}" if folder else name, content)
    return path


def write_wheel(folder: Path, project: str, files: Mapping[str, bytes]) -> PinnedWheel:
    """A wheel that pip accepts, holding `files` by their full paths, and its pin."""
    metadata = {
        f"{project}-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: %b\nVersion: 1.0\n"
        % project.encode(),
        f"{project}-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{project}-1.0.dist-info/RECORD": b"",
    }
    path = write_zip(folder / f"{project}-1.0-py3-none-any.whl", {**files, **metadata})
    content = path.read_bytes()
    return PinnedWheel(
        project=project,
        version="1.0",
        filename=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        n_bytes=len(content),
    )


_MOVIE_DATABASE = """
CREATE TABLE omdb (ID INTEGER, imdbID TEXT, Title TEXT, Year INTEGER, Rating TEXT, Runtime REAL,
    Released TEXT, Director TEXT, "Cast" TEXT, Country TEXT,
    Awards TEXT, Metacritic INTEGER, lastUpdated TEXT);
CREATE TABLE tomatoes (ID INTEGER, Rating REAL, Meter INTEGER, Reviews INTEGER, BoxOffice REAL);
INSERT INTO omdb VALUES
    (10, 'tt0114709', 'The Tin Owl', 1994, 'PG-13', 81.0, '1995-11-22',
        'A. Bee', 'C. Dee, E. Eff', 'France, Italy',
        'Won 1 Oscar. Nominated for 2 Oscars.', 95, '2026-10-18'),
    (11, 'tt0000011', 'Tin Owl', 1997, 'R', 90.0, '1997-02-01', 'Far Off', '', '', NULL, NULL, '2026-10-18'),
    (12, 'tt0000012', 'La chouette d''etain', 1995, 'G', 70.0, '1995-01-01',
        '', '', '', NULL, NULL, '2026-10-18'),
    (13, 'tt12345678', 'Golden Elbow', 1995, '', NULL, '1995-01-01', '', '', '',
        'Nominated for 3 Oscars.', NULL, '2026-10-18');
INSERT INTO tomatoes VALUES
    (10, 9.4, 97, 98, 394436586.0), (11, 5.0, 50, 400, NULL),
    (12, NULL, 40, 3, NULL), (13, 7.1, 79, 88, 5e8);
"""


def write_movie_database(path: Path) -> Path:
    """The tables of bokeh_sampledata, with movies that the layouts above have."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_MOVIE_DATABASE)
    return path


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder behind a web server on this machine; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
