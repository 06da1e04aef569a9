"""Titles of movies: from how a source files them to how a poster prints them, and keys to join by.

MovieLens files "Usual Suspects, The (1995)": the article trails and the year is part of the text;
alternative titles follow in brackets, "City of Lost Children, The (Cité des enfants perdus, La)".
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

_ARTICLES: Final = (
    "The|A|An|"  # English
    "Le|La|Les|L'|Un|Une|"  # French; "De" stays: it is as often the first half of a verse
    "Der|Die|Das|Ein|Eine|"  # German
    "Il|Lo|I|Gli|Uno|Una|"  # Italian
    "El|Los|Las|"  # Spanish
    "O|Os|As|Um|Uma|"  # Portuguese
    "Det|Den|En|Ett|Et|Het|Een|Da"  # Nordic, Dutch, and "Hip Hop Witch, Da"
)
# Case matters: "Lust, Caution (Se, jie)" has no article, and titles in lower case trail none.
_TRAILING_ARTICLE: Final = re.compile(rf"^(?P<rest>.+), (?P<article>{_ARTICLES})$")
_LEADING_ARTICLE: Final = re.compile(rf"^(?:{_ARTICLES}) (?=\S)", re.IGNORECASE)
_LEADING_ELISION: Final = re.compile(r"^l['’](?=\w)", re.IGNORECASE)
_YEAR_AT_END: Final = re.compile(r"\s*\((?P<year>[12]\d{3})(?:[-–](?:\d{4})?)?\)\s*$")
_MEDIUM_AT_END: Final = re.compile(r"\s*\((?:V|TV|mini)\)\s*$")  # "(1995) (V)": straight to video
_FILM_AT_END: Final = re.compile(r"\s*\((?:[12]\d{3} )?film\)\s*$")  # Wikipedia's "Faust (2011 film)"
_BRACKETED: Final = re.compile(r"\(([^()]*)\)")
_KNOWN_AS: Final = re.compile(r"^a\.?k\.?a\.? ", re.IGNORECASE)


@dataclass(frozen=True)
class Title:
    """One filed title, read."""

    text: str | None  # as printed on a poster, alternatives still in brackets; None where nothing is left
    year: int | None


def read_title(filed: str) -> Title:
    """Read a title as MovieLens files it, with or without its year at the end.

    Example:
        >>> read_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
        Title(text='The City of Lost Children (La Cité des enfants perdus)', year=1995)
        >>> read_title("Land Before Time III: The Time of the Great Giving (1995) (V)").year
        1995
    """
    rest = _MEDIUM_AT_END.sub("", " ".join(filed.split()))
    found = _YEAR_AT_END.search(rest)
    if found:
        rest = rest[: found.start()]
    text = _BRACKETED.sub(lambda bracket: f"({lead_with_article(bracket[1])})", rest)
    head, bracket, tail = text.partition(" (")
    text = lead_with_article(head) + bracket + tail
    return Title(text=text or None, year=int(found["year"]) if found else None)


def lead_with_article(title: str) -> str:
    """The title with its trailing article put in front.

    Example:
        >>> lead_with_article("Usual Suspects, The"), lead_with_article("Enfer, L'")
        ('The Usual Suspects', "L'Enfer")
    """
    found = _TRAILING_ARTICLE.match(title)
    if not found:
        return title
    blank = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{blank}{found['rest']}"


def match_keys(title: str) -> tuple[str, ...]:
    """Keys under which a title may be found elsewhere, the most telling first, without repeats.

    The whole title, the title without its bracketed alternatives, then each alternative; each without
    accents, case, punctuation, leading article, and with "&" read as "and".

    Example:
        >>> match_keys("Queen Margot (La Reine Margot)")
        ('queen margot la reine margot', 'queen margot', 'reine margot')
    """
    title = _FILM_AT_END.sub("", title)
    variants = [title, _BRACKETED.sub(" ", title), *_BRACKETED.findall(title)]
    keys = (_key(lead_with_article(_KNOWN_AS.sub("", " ".join(variant.split())))) for variant in variants)
    return tuple(dict.fromkeys(key for key in keys if key))


def _key(title: str) -> str:
    bare = _LEADING_ELISION.sub("", _LEADING_ARTICLE.sub("", title))
    decomposed = unicodedata.normalize("NFKD", bare.replace("&", " and ").casefold())
    letters = "".join(mark for mark in decomposed if not unicodedata.combining(mark))
    return " ".join(re.sub(r"['’.]", "", letters).translate(_PUNCTUATION).split())


class _Blanks(dict[int, str]):
    """Translation table that turns each character but letters and digits into a blank."""

    def __missing__(self, code: int) -> str:
        return chr(code) if chr(code).isalnum() else " "


_PUNCTUATION: Final = _Blanks()
