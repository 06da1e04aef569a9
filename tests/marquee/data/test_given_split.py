import numpy as np
import pytest

from marquee import schema
from marquee.data.given_split import read_events, read_given_split, read_negatives
from marquee.data.interactions import Vocabulary
from marquee.errors import NotEnoughDataError, SourceError


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        "user,item,rating,timestamp\n1,a,4,10\n2,b,2.5,20\n",
        "1,a,4,10\n2,b,2.5,20\n",
        "1\ta\t4\t10\r\n2\tb\t2.5\t20\r\n",
        "1::a::4::10\n2::b::2.5::20",
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\ta\t4\t10\n\n2\tb\t2.5\t20\n",
        "\ufefftimestamp;movieId;userId;rating\n10;a;1;4\n20;b;2;2.5\n",
        '"userId","movieId","rating","timestamp"\n"1","a",4.0,10\n2,b,2.5,20\n',
    ],
)
def test_events_of_every_layout_are_the_same(write, text):
    table = read_events(write("events", text))

    assert table[schema.USER_ID].to_list() == ["1", "2"]
    assert table[schema.ITEM_ID].to_list() == ["a", "b"]
    assert table[schema.VALUE].to_list() == [4.0, 2.5]
    assert table[schema.TIMESTAMP].dt.epoch("us").to_list() == [10_000_000, 20_000_000]


@pytest.mark.parametrize(
    ("written", "us"),
    [
        ("881250949", 881_250_949_000_000),
        ("881250949000", 881_250_949_000_000),
        ("881250949000000", 881_250_949_000_000),
        ("1970-01-02", 86_400_000_000),
        ("1970-01-01T00:00:01Z", 1_000_000),
    ],
)
def test_times_are_read_by_magnitude_or_as_iso(write, written, us):
    table = read_events(write("events", f"u,i,1,{written}\n"))

    assert table[schema.TIMESTAMP].dt.epoch("us").to_list() == [us]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1,a,4\n2,b\n", "line 2: 2 fields where line 1 has 3"),
        ("1,a,4\n\n2,b,good\n", "line 3: value = 'good' is not a number"),
        ("1,a,nan\n", "line 1: value = 'nan'"),
        ("user,item\n1,\n", "line 2: item_id = ''"),
        ("1,a,4,10\n1,b,4,noon\n", "line 2: timestamp = 'noon'"),
        ("user,title\n1,a\n", "line 1: the header user, title names no item column"),
        ("alone\n", "line 1: 'alone' is one field"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        (b"\xff\xfe\x00", "is no UTF-8 text"),
    ],
)
def test_fault_names_file_line_and_field(write, text, complaint):
    with pytest.raises(SourceError, match=r"broken\.csv") as caught:
        read_events(write("broken.csv", text))

    assert complaint in caught.value.problem


def test_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"absent\.csv can't be read"):
        read_events(tmp_path / "absent.csv")


def test_split_has_common_vocabularies(write):
    given = read_given_split(write("train", "1,a\n2,b\n"), write("test", "1,c\n3,a\n"))

    for events in (given.split.train, given.split.test):
        assert events.users.ids.to_list() == ["1", "2", "3"]
        assert events.items.ids.to_list() == ["a", "b", "c"]
    assert not given.has_times
    assert given.split.train.timestamp_us.tolist() == [0, 0]
    assert np.isnan(given.split.train.value).all()


def test_split_leaves_out_repeats_and_what_trains_and_says_so(write):
    given = read_given_split(write("train", "1,a\n1,a\n1,b\n"), write("test", "1,b\n1,c\n1,c\n"))

    assert len(given.split.train) == 2
    assert given.split.test.items.decode(given.split.test.item_index) == ["c"]
    assert len(given.notes) == 3
    assert any(note.startswith("1 rows of test that are in train") for note in given.notes)


def test_split_with_nothing_left_to_ask_is_refused(write):
    with pytest.raises(NotEnoughDataError, match="no event to ask about"):
        read_given_split(write("train", "1,a\n"), write("test", "1,a\n"))


@pytest.mark.parametrize(
    "text", ["1,a\n1,b\n2,c\n", "1\ta\tb\n2\tc\n", "(1,x)\ta\tb\n(2,y)\tc\n", "1 a b\n2 c zzz\n9 a\n"]
)
def test_negatives_of_every_layout_are_the_same(write, text):
    users, items = Vocabulary.of(["1", "2"]), Vocabulary.of(["a", "b", "c"])

    found = read_negatives(write("negatives", text), users, items)

    assert {user: index.tolist() for user, index in found.items()} == {0: [0, 1], 1: [2]}


def test_negatives_line_without_an_item_is_named(write):
    with pytest.raises(SourceError, match="line 2: '2' names no candidate"):
        read_negatives(write("negatives", "1,a\n2\n"), Vocabulary.of(["1"]), Vocabulary.of(["a"]))
