import pytest

from marquee.data.datasets.side_tables import Issues, read_csv, read_delimited
from marquee.errors import SourceError


def test_read_delimited_of_a_short_line_keeps_it_as_an_issue(tmp_path):
    path = tmp_path / "u.user"
    path.write_bytes(b"1|24\r\n2\n\n3|31\n")
    issues = Issues()

    rows = list(read_delimited(path, "|", encoding="utf-8", n_fields=2, issues=issues))

    assert rows == [(1, ["1", "24"]), (4, ["3", "31"])]
    assert issues.to_table().rows() == [("u.user", 2, "", "2", "1 fields, 2 expected")]


def test_read_csv_of_quoted_line_breaks_counts_first_lines(tmp_path):
    path = tmp_path / "movies.csv"
    path.write_bytes('\ufeffid,text,extra\r\n1,"a\r\nb",x\r\n\r\n2,c\u2028d,y\r\n3\r\n'.encode())
    issues = Issues()

    rows = list(read_csv(path, ("id", "text"), issues=issues))

    assert rows == [
        (2, {"id": "1", "text": "a\r\nb"}),
        (5, {"id": "2", "text": "c\u2028d"}),
        (6, {"id": "3", "text": ""}),
    ]
    assert issues.to_table()["line"].to_list() == [6]


def test_read_csv_without_a_column_names_it(tmp_path):
    path = tmp_path / "movies.csv"
    path.write_text("movieId,genres\n")

    with pytest.raises(SourceError, match="no column 'title'"):
        list(read_csv(path, ("movieId", "title"), issues=Issues()))


def test_read_csv_of_an_endless_field_is_one_error(tmp_path):
    path = tmp_path / "movies.csv"
    path.write_text('id\n"' + "x" * 200_000)

    with pytest.raises(SourceError, match=r"movies\.csv, line 2"):
        list(read_csv(path, ("id",), issues=Issues()))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_read_csv_of_what_is_no_text_is_one_error(tmp_path, content):
    path = tmp_path / "movies.csv"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SourceError, match=r"movies\.csv"):
        list(read_csv(path, ("id",), issues=Issues()))


@pytest.mark.parametrize(
    ("text", "number", "n_issues"),
    [
        ("24", 24, 0),
        (" 24 ", 24, 0),
        ("", None, 0),
        ("old", None, 1),
        ("-1", None, 1),
        ("32768", None, 1),
        ("²", None, 1),
    ],
)
def test_number_of_a_text_is_whole_or_an_issue(tmp_path, text, number, n_issues):
    issues = Issues()

    assert issues.number(text, source=tmp_path / "u.user", line=3, column="age") == number
    assert len(issues.rows) == n_issues
