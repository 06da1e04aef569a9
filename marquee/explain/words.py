"""Reasons in words, with what the movies have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import polars as pl

from marquee import schema
from marquee.explain.impersonal import Basis
from marquee.explain.reasons import Reason

SHARED_COLUMNS: Final = (schema.GENRES, schema.DIRECTORS, schema.CAST)
"""What movies may have in common, where a table of movies tells it."""

_WITHOUT_ITEMS: Final = {
    Basis.HISTORY: "because of all that you watched, taken together",
    Basis.POPULAR_NOW: "popular now",
    Basis.POPULAR: "popular with everybody",
    Basis.ACCLAIMED: "well received by everybody",
    Basis.MOMENT: "for everybody at this hour and day",
    Basis.MOVIE: "for everybody, by its year, length and age rating",
    Basis.EVERYBODY: "for everybody",
}


@dataclass(frozen=True)
class Shared:
    """What a movie has in common with all the movies of a reason, in the order of its own credits."""

    genres: tuple[str, ...] = ()
    directors: tuple[str, ...] = ()
    cast: tuple[str, ...] = ()

    @classmethod
    def of(cls, movies: pl.DataFrame, item: int, others: Sequence[int]) -> Self:
        """Of a table with a row per item index and some of `SHARED_COLUMNS`; the others stay empty."""
        found = {}
        for column in SHARED_COLUMNS:
            if column in movies.columns and others:
                lists = [movies[column][other] for other in (item, *others)]
                own, *theirs = [[] if names is None else list(names) for names in lists]
                found[column] = tuple(name for name in own if all(name in each for each in theirs))
        return cls(**found)


def in_words(reason: Reason, item: int, movies: pl.DataFrame) -> str:
    """One line: "because you watched Alien (1979): Horror, by Ridley Scott".

    Args:
        reason: why the item is in a list.
        item: its index.
        movies: a row per item index with id, title and year, and where known what movies share.
    """
    if reason.basis in _WITHOUT_ITEMS:
        return _WITHOUT_ITEMS[reason.basis]
    shared = Shared.of(movies, item, reason.items)
    first = title_of(movies.row(reason.items[0], named=True))
    if reason.basis == Basis.WATCHED:
        facts = _facts(shared)
        return f"because you watched {first}" + (f": {facts}" if facts else "")
    if reason.basis == Basis.GENRE:
        what = f"of {', '.join(shared.genres)}" if shared.genres else "of a kind"
    else:
        what = _credits(shared) or "of the same people"
    n = len(reason.items)
    return (
        f"because you watched {n} movie{'s' if n > 1 else ''} {what}, {'the last ' if n > 1 else ''}{first}"
    )


def title_of(movie: dict[str, Any]) -> str:
    """Title and year of a row of movies; the id where there is no title."""
    title = movie[schema.TITLE] or f"item {movie[schema.ITEM_ID]}"
    return title if movie[schema.YEAR] is None else f"{title} ({movie[schema.YEAR]})"


def _facts(shared: Shared) -> str:
    return ", ".join(part for part in (", ".join(shared.genres), _credits(shared)) if part)


def _credits(shared: Shared) -> str:
    by = f"by {' and '.join(shared.directors)}" if shared.directors else ""
    cast = f"with {' and '.join(shared.cast)}" if shared.cast else ""
    return ", ".join(part for part in (by, cast) if part)
