import math

import polars as pl
import pytest

from marquee.explain.impersonal import Basis
from marquee.explain.reasons import Reason
from marquee.explain.words import Shared, in_words

MOVIES = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "title": ["Alien", "Aliens", "Blade Runner", None],
        "year": [1979, 1986, 1982, None],
        "genres": [["Horror", "Sci-Fi"], ["Action", "Sci-Fi", "Horror"], ["Sci-Fi"], None],
        "directors": [["Ridley Scott"], ["James Cameron"], ["Ridley Scott"], None],
        "cast": [["Sigourney Weaver", "Tom Skerritt"], ["Sigourney Weaver"], ["Harrison Ford"], None],
    }
)
ALIEN, ALIENS, BLADE_RUNNER, UNKNOWN = range(4)


@pytest.mark.parametrize(
    ("item", "reason", "words"),
    [
        (
            ALIENS,
            Reason(Basis.WATCHED, (ALIEN,), 0.5),
            "because you watched Alien (1979): Sci-Fi, Horror, with Sigourney Weaver",
        ),
        (
            BLADE_RUNNER,
            Reason(Basis.WATCHED, (ALIEN,), 0.5),
            "because you watched Alien (1979): Sci-Fi, by Ridley Scott",
        ),
        (ALIEN, Reason(Basis.WATCHED, (UNKNOWN,), 0.5), "because you watched item d"),
        (
            ALIEN,
            Reason(Basis.GENRE, (BLADE_RUNNER, ALIENS), 0.5),
            "because you watched 2 movies of Sci-Fi, the last Blade Runner (1982)",
        ),
        (
            ALIEN,
            Reason(Basis.PEOPLE, (BLADE_RUNNER,), 0.5),
            "because you watched 1 movie by Ridley Scott, Blade Runner (1982)",
        ),
        (ALIEN, Reason(Basis.HISTORY, (), 0.5), "because of all that you watched, taken together"),
        (ALIEN, Reason(Basis.POPULAR_NOW), "popular now"),
        (ALIEN, Reason(Basis.EVERYBODY), "for everybody"),
    ],
)
def test_in_words_names_what_is_shared(item, reason, words):
    assert in_words(reason, item, MOVIES) == words


def test_in_words_without_a_table_of_people_names_none():
    bare = MOVIES.drop("directors", "cast")

    words = in_words(Reason(Basis.PEOPLE, (BLADE_RUNNER,), 0.5), ALIEN, bare)

    assert words == "because you watched 1 movie of the same people, Blade Runner (1982)"


@pytest.mark.parametrize("basis", list(Basis))
def test_in_words_has_words_for_every_basis(basis):
    reason = Reason(basis, (ALIEN,), math.nan)

    assert in_words(reason, ALIENS, MOVIES)


def test_shared_is_common_to_all_in_the_order_of_the_item():
    assert Shared.of(MOVIES, ALIENS, [ALIEN]) == Shared(("Sci-Fi", "Horror"), (), ("Sigourney Weaver",))
    assert Shared.of(MOVIES, ALIENS, [ALIEN, BLADE_RUNNER]) == Shared(("Sci-Fi",), (), ())
    assert Shared.of(MOVIES, ALIENS, [UNKNOWN]) == Shared.of(MOVIES, ALIENS, []) == Shared()
