import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.data.datasets.titles import Title, lead_with_article, match_keys, read_title


@pytest.mark.parametrize(
    ("filed", "text", "year"),
    [
        ("Usual Suspects, The (1995)", "The Usual Suspects", 1995),
        ("Enfer, L' (1994)", "L'Enfer", 1994),
        ("Boot, Das (Boat, The) (1981)", "Das Boot (The Boat)", 1981),
        ("Mépris, Le (Contempt) (1963)", "Le Mépris (Contempt)", 1963),
        ("Blind Side, The  (2009)", "The Blind Side", 2009),
        ("Assembly (Ji jie hao) (2007) ", "Assembly (Ji jie hao)", 2007),
        ("Meadow III: The Return (1995) (V)", "Meadow III: The Return", 1995),
        ("Desu nôto (2006–2007)", "Desu nôto", 2006),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("2001: A Space Odyssey", "2001: A Space Odyssey", None),
        ("Bye Bye, Love (1995)", "Bye Bye, Love", 1995),
        ("Lust, Caution (Se, jie) (2007)", "Lust, Caution (Se, jie)", 2007),
        ("", None, None),
    ],
)
def test_read_title_of_a_filed_title_reads_as_on_a_poster(filed, text, year):
    assert read_title(filed) == Title(text=text, year=year)


def test_match_keys_of_alternatives_lead_with_the_whole_title():
    keys = match_keys("City of Lost Children, The (Cité des enfants perdus, La)")

    assert keys == (
        "city of lost children the cite des enfants perdus la",
        "city of lost children",
        "cite des enfants perdus",
    )


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Les Misérables", "Miserables, Les"),
        ("Fast & Loose", "Fast and Loose"),
        ("M.A.S.H.", "MASH"),
        ("The Hudsucker Proxy", "Hudsucker Proxy"),
        ("Faust (2011 film)", "Faust"),
        ("Rock’n’Roll", "Rock'n'Roll"),
        ("Men in Black (a.k.a. MIB)", "MIB"),
    ],
)
def test_match_keys_of_two_spellings_meet(left, right):
    assert set(match_keys(left)) & set(match_keys(right))


@given(st.text(max_size=40))
def test_match_keys_of_any_text_are_unique_and_hold_letters(title):
    keys = match_keys(title)

    assert len(set(keys)) == len(keys)
    assert all(key == key.strip() and any(mark.isalnum() for mark in key) for key in keys)


@given(
    st.text(alphabet="abcxyz ", min_size=1, max_size=20).filter(str.strip),
    st.sampled_from(["The", "La", "Der"]),
)
def test_lead_with_article_of_a_trailing_article_moves_it(name, article):
    assert lead_with_article(f"{name}, {article}") == f"{article} {name}"
