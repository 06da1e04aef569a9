import gzip
import io
import os
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from marquee.data.lines import KEPT_CHARS, open_text
from marquee.errors import SourceError

Write = Callable[..., Path]


def lines_of(
    path: Path, *, max_line_bytes: int = 100
) -> tuple[list[tuple[int, str | None]], list[tuple[int, str]]]:
    with open_text(path, encoding="utf-8", max_line_bytes=max_line_bytes) as text:
        return list(text.lines()), [(record.line, record.reason) for record in text.records.rejected]


def test_lines_are_numbered_from_one_and_keep_their_ends(write: Write):
    assert lines_of(write("a\n\nb\r\nc")) == ([(1, "a\n"), (2, "\n"), (3, "b\r\n"), (4, "c")], [])


def test_unusable_lines_are_rejected_and_the_rest_is_read(write: Write):
    lines, rejected = lines_of(write(b"ok\n\xff\xfe\xfa\nok\na\0b\n" + b"x" * 101 + b"\nend"))

    assert [line for line in lines if line[1]] == [(1, "ok\n"), (3, "ok\n"), (6, "end")]
    assert rejected == [(2, "bad_encoding"), (4, "nul_byte"), (5, "line_too_long")]


@pytest.mark.parametrize("length", [100, 101])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_line_is_too_long_just_beyond_the_limit(write: Write, length: int, end: bytes):
    _, rejected = lines_of(write(b"x" * length + end))

    assert rejected == ([(1, "line_too_long")] if length > 100 else [])


def test_line_of_100_megabytes_is_skipped_once_in_bounded_memory(write: Write):
    # a sparse file costs no disk; its NULs stand behind a head of text
    path = write("a\n" + "b" * 20_000)
    with path.open("r+b") as file:
        file.truncate(100_000_000)
        file.seek(0, os.SEEK_END)
        file.write(b"\nc\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    lines, rejected = lines_of(path, max_line_bytes=2**20)

    assert lines == [(1, "a\n"), (2, None), (3, "c\n")]
    assert rejected == [(2, "line_too_long")]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_rejected_line_keeps_its_beginning(write: Write):
    with open_text(write(b"\xff" + b"x" * 5_000), encoding="utf-8", max_line_bytes=10_000) as text:
        list(text.lines())

    assert text.records.rejected[0].record == "\\xff" + "x" * (KEPT_CHARS - 1)


def test_gzip_is_known_by_its_content_not_by_its_name(write: Write):
    path = write(gzip.compress(b"a\nb\n"), "plainly.csv")

    assert lines_of(path)[0] == [(1, "a\n"), (2, "b\n")]


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("ratings.csv", "a,b\n")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n \n\n", "empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1", "PNG"),
        (zipped(), "zip"),
        (b"PAR1\0\0\x15\x04PAR1", "Parquet"),
        ("user,item\n".encode("utf-16"), "UTF-16"),
        (bytes(range(256)) * 20, "binary"),
        (gzip.compress(os.urandom(8_000)), "binary"),
        (gzip.compress(b"", mtime=0), "empty"),
    ],
)
def test_file_that_is_no_text_is_one_error(write: Write, content: bytes, words: str):
    with pytest.raises(SourceError, match=words) as caught:
        lines_of(write(content))

    assert "events.csv" in caught.value.problem


@pytest.mark.parametrize(
    "damage", [lambda zipped: zipped[:-20], lambda zipped: zipped[:200] + b"x" * 50 + zipped[250:]]
)
def test_torn_gzip_is_one_error(write: Write, damage: Callable[[bytes], bytes]):
    content = gzip.compress("".join(f"{i},{i * i}\n" for i in range(5_000)).encode())

    with pytest.raises(SourceError, match=r"events\.csv.*gzip"):
        lines_of(write(damage(content)))


def test_missing_file_and_folder_are_one_error(tmp_path: Path):
    for path, words in ((tmp_path / "absent.csv", "No such file"), (tmp_path, "directory")):
        with pytest.raises(SourceError, match=words):
            lines_of(path)
