from collections.abc import Callable
from pathlib import Path

import pytest

from marquee.data.mapping import Mapping
from marquee.data.readers import read_chunks
from marquee.data.records import ReadConfig
from marquee.errors import ContractError, SourceError

HEADER = "user,item,type,time,value\n"
Write = Callable[..., Path]


def read(path: Path, mapping: Mapping, **config: int) -> tuple[list[tuple[str, ...]], list[tuple[int, str]]]:
    """The usable records, each after its line, and (line, reason) of the others."""
    chunks = list(read_chunks(path, mapping, config=ReadConfig(**config)))
    rows = [
        (str(line), *row)
        for chunk in chunks
        for line, row in zip(chunk.lines, chunk.frame.iter_rows(), strict=True)
    ]
    return rows, [(r.line, r.reason) for chunk in chunks for r in chunk.rejected]


def test_csv_record_has_its_line_and_fields(write: Write, mapping: Mapping):
    rows, rejected = read(write(HEADER + "u1,i1,like,1,\nu2,i2,view,2,0.5\n"), mapping)

    assert rows == [("2", "u1", "i1", "like", "1", ""), ("3", "u2", "i2", "view", "2", "0.5")]
    assert rejected == []


def test_csv_with_windows_line_ends_byte_order_mark_and_blank_lines_reads_the_same(
    write: Write, mapping: Mapping
):
    rows, rejected = read(write("\ufeff" + HEADER.strip() + "\r\n\r\nu,i,like,1,\r\n\r\n"), mapping)

    assert (rows, rejected) == ([("3", "u", "i", "like", "1", "")], [])


def test_csv_quoted_field_may_hold_delimiter_quote_and_line_end(write: Write, mapping: Mapping):
    text = HEADER + '"u,1","i ""x""",like,1,\n"u\n2",i2,like,2,\nu3,i3,like,3,\n'

    rows, rejected = read(write(text), mapping)

    assert [row[:3] for row in rows] == [("2", "u,1", 'i "x"'), ("3", "u\n2", "i2"), ("5", "u3", "i3")]
    assert rejected == []


def test_csv_quote_inside_a_field_is_an_ordinary_character(write: Write, mapping: Mapping):
    rows, rejected = read(write(HEADER + 'u,12" single,like,1,\nu,i,like,2,\n'), mapping)

    assert [row[2] for row in rows] == ['12" single', "i"]
    assert rejected == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('"u1,i1,like,1,', "unclosed_quote"),
        ('u1,i1,like,1,"', "unclosed_quote"),
        ('"u1"x,i1,like,1,', "bad_quoting"),
        ("u1,i1,like,1", "too_few_fields"),
        ("u1", "too_few_fields"),
        ("u1,i1,like,1,,", "too_many_fields"),
    ],
)
@pytest.mark.parametrize("after", ["", 'u3,"i3",like,3,\n', "u3,i3,like,3,\nu4,i4,like,4,\n"])
def test_csv_malformed_line_costs_itself_and_no_other(
    write: Write, mapping: Mapping, bad: str, reason: str, after: str
):
    rows, rejected = read(write(f"{HEADER}u0,i0,like,0,\n{bad}\n{after}"), mapping)

    assert [row[1] for row in rows] == ["u0", "u3", "u4"][: 1 + after.count("\n")]
    assert rejected == [(3, reason)]


def test_csv_each_of_two_unclosed_quotes_costs_its_line(write: Write, mapping: Mapping):
    text = HEADER + 'u1,"i1,like,1,\nu2,i2,like,2,\nu3,"i3,like,3,\nu4,i4,like,4,\n'

    rows, rejected = read(write(text), mapping)

    assert [row[1] for row in rows] == ["u2", "u4"]
    assert rejected == [(2, "unclosed_quote"), (4, "unclosed_quote")]


def test_csv_unusable_line_inside_a_quoted_field_is_never_glued_over(write: Write, mapping: Mapping):
    content = HEADER.encode() + b'"u\n\xff\xff\n1",i,like,1,\nu2,i2,like,2,\n'

    rows, rejected = read(write(content), mapping)

    assert [row[1] for row in rows] == ['1"', "u2"]  # line 4 is a record of its own
    assert sorted(rejected) == [(2, "unclosed_quote"), (3, "bad_encoding")]


def test_csv_quoted_field_longer_than_the_line_limit_is_given_up(write: Write, mapping: Mapping):
    text = HEADER + '"' + "x\n" * 100 + '",i,like,1,\nu2,i2,like,2,\n'

    rows, rejected = read(write(text), mapping, max_line_bytes=50)

    assert [row[1] for row in rows] == ["u2"]
    assert rejected[0] == (2, "unclosed_quote")
    assert len(rejected) == 101  # the quote's line, the 99 after it, and the line that would have closed it


def test_csv_quoted_field_beyond_the_csv_reader_is_rejected(write: Write, mapping: Mapping):
    rows, rejected = read(write(f'{HEADER}"{"x" * 140_000}",i,like,1,\nu,i,like,1,\n'), mapping)

    assert (len(rows), rejected) == (1, [(2, "field_too_long")])


@pytest.mark.parametrize("chunk_records", [1, 2, 3, 100])
def test_csv_chunks_of_any_size_hold_the_same_records(write: Write, mapping: Mapping, chunk_records: int):
    path = write(HEADER + 'u1,i,like,1,\n"u\n2",i,like,2,\nshort\n\nu4,i,like,4,\n')

    rows, rejected = read(path, mapping, chunk_records=chunk_records)

    assert [row[:2] for row in rows] == [("2", "u1"), ("3", "u\n2"), ("7", "u4")]
    assert rejected == [(5, "too_few_fields")]


def test_csv_chunk_ends_early_where_its_lines_are_long(write: Write, mapping: Mapping):
    path = write(HEADER + "".join(f"{'u' * 1_000},i,like,{i},\n" for i in range(10)))

    chunks = list(read_chunks(path, mapping, config=ReadConfig(chunk_bytes=3_000)))

    assert [len(chunk.frame) for chunk in chunks] == [3, 3, 3, 1]
    assert chunks[-1].bytes_read == path.stat().st_size


def test_multi_character_delimiter_splits_lines_without_header(write: Write):
    path = write("1::2::4.5::978300760\n1::3::x\n", "ratings.dat")

    rows, rejected = read(path, Mapping.preset("movielens-ratings-dat"))

    assert (rows, rejected) == ([("1", "1", "2", "4.5", "978300760")], [(2, "too_few_fields")])


def test_recbole_header_types_are_stripped_and_quotes_are_ordinary(write: Write):
    text = 'user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t"2\t3.0\t881250949\n'

    rows, rejected = read(write(text, "x.inter"), Mapping.preset("recbole-inter"))

    assert (rows, rejected) == ([("2", "1", '"2', "3.0", "881250949")], [])


def test_fields_beyond_the_mapped_ones_are_allowed_where_the_mapping_counts_them(write: Write):
    mapping = Mapping(
        format="csv",
        header=False,
        columns={"user_id": 1, "item_id": 0, "timestamp": 2},
        constants={"interaction_type": "like"},
        fields=4,
    )

    rows, rejected = read(write("i,u,1,extra\ni,u,1\n"), mapping)

    assert (rows, rejected) == ([("1", "u", "i", "1")], [(2, "too_few_fields")])


def test_latin_1_is_read_where_the_mapping_says_so(write: Write, mapping: Mapping):
    path = write(HEADER.encode() + "caf\u00e9,i,like,1,\n".encode("latin-1"))

    assert read(path, mapping.model_copy(update={"encoding": "latin-1"}))[0][0][1] == "caf\u00e9"
    assert read(path, mapping) == ([], [(2, "bad_encoding")])


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("user,item,type,when,value", ("'time'", "when")),
        ("user,item,type,time,value,time", ("more than one", "'time'")),
        ("user;item;type;time;value", ("'user'", "user;item;type;time;value")),
    ],
)
def test_csv_whose_header_lacks_a_mapped_field_is_refused(
    write: Write, mapping: Mapping, header: str, words: tuple[str, ...]
):
    with pytest.raises(ContractError) as caught:
        read(write(f"{header}\nu,i,like,1,\n"), mapping)

    assert [word for word in (*words, "events.csv") if word not in caught.value.problem] == []


@pytest.mark.parametrize("header", [b'"user,item\n', b"us\xffer,item,type,time,value\n"])
def test_csv_whose_header_is_unreadable_is_refused(write: Write, mapping: Mapping, header: bytes):
    with pytest.raises(SourceError, match="header"):
        read(write(header), mapping)
