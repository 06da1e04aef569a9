import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.bundle import MANIFEST, Bundle, Parts, read_manifest, verify_bundle, write_bundle
from marquee.errors import BundleError

CONTENT = {"dataset": "tiny", "metrics": {"ndcg@10": 0.1 + 0.2}, "routes": ["ease"]}
ROOT = Path(__file__).parents[2]


def parts(weight: float = 1.5) -> Parts:
    return Parts(
        arrays={
            "routes/ease/weights": np.array([[0, weight], [weight, 0]], np.float32),
            "routes/ease/n_items": np.array(2, np.int64),
            "features/known": np.array([True, False]),
        },
        tables={"movies": pl.DataFrame({"item_id": ["a", "b"], "title": ["Ä", None]})},
        texts={"ranker/lightgbm": "tree\n"},
    )


@pytest.fixture
def bundle(tmp_path):
    write_bundle(tmp_path / "bundle", parts(), content=CONTENT, provenance={"run_id": "r1"})
    return tmp_path / "bundle"


def flip(file: Path, place: int, bit: int = 0) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1 << bit
    file.write_bytes(data)


def forge(bundle: Path, **changes) -> None:
    """Write a manifest that is consistent in itself, as somebody who knows the recipe could."""
    manifest = json.loads((bundle / MANIFEST).read_bytes()) | changes
    covered = {
        "schema_version": manifest["schema_version"],
        "content": manifest["content"],
        "files": {name: entry["sha256"] for name, entry in manifest["files"].items()},
    }
    canonical = json.dumps(covered, sort_keys=True, separators=(",", ":"))
    manifest["bundle_id"] = hashlib.sha256(canonical.encode()).hexdigest()[:16]
    unsealed = json.dumps(manifest | {"seal": ""}, indent=2, ensure_ascii=False)
    manifest["seal"] = hashlib.sha256(unsealed.encode()).hexdigest()[:16]
    (bundle / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False), encoding="utf-8")


def entry(data: bytes) -> dict:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}


def refused(path: Path) -> str:
    """The problem with which reading and verifying refuse the bundle."""
    problems = set()
    for reader in (Bundle.read, verify_bundle):
        with pytest.raises(BundleError) as caught:
            reader(path)
        problems.add(caught.value.problem)
    assert len(problems) == 1
    return problems.pop()


# --- round trip and identity -----------------------------------------------------------------------


def test_bundle_read_again_is_equal(bundle):
    found = Bundle.read(bundle)

    expected = parts()
    assert found.parts.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(found.parts.arrays[name], array, strict=True)
    assert found.parts.tables["movies"].equals(expected.tables["movies"])
    assert found.parts.texts == expected.texts
    assert found.manifest.content == CONTENT
    assert found.manifest == read_manifest(bundle) == verify_bundle(bundle)


def test_bundle_array_of_columns_in_memory_order_is_read_again_equal(tmp_path):
    array = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))

    write_bundle(tmp_path / "b", Parts(arrays={"x": array[:, ::2]}), content={}, provenance={})

    np.testing.assert_array_equal(Bundle.read(tmp_path / "b").parts.arrays["x"], array[:, ::2])


def test_parts_under_a_folder_are_named_inside_it():
    assert set(parts().under("routes/ease")) == {"weights", "n_items"}
    assert parts().under("rout") == {}


def test_bundle_id_same_content_written_elsewhere_and_later_is_the_same(tmp_path):
    ids = {
        write_bundle(
            tmp_path / name, parts(), content=CONTENT, provenance={"run_id": name, "time": name}
        ).bundle_id
        for name in ("one", "two")
    }

    assert len(ids) == 1


def test_bundle_id_does_not_depend_on_the_order_of_parts_and_keys(tmp_path):
    ordered = parts()
    reverse = Parts(dict(reversed(ordered.arrays.items())), ordered.tables, ordered.texts)

    one = write_bundle(tmp_path / "one", ordered, content=CONTENT, provenance={})
    two = write_bundle(tmp_path / "two", reverse, content=dict(reversed(CONTENT.items())), provenance={})

    assert one.bundle_id == two.bundle_id


@pytest.mark.parametrize(
    ("changed", "content"),
    [
        (parts(weight=np.nextafter(np.float32(1.5), np.float32(2))), CONTENT),
        (parts(), CONTENT | {"dataset": "other"}),
        (Parts(parts().arrays, parts().tables, {}), CONTENT),
    ],
    ids=["one bit of an array", "content", "a file less"],
)
def test_bundle_id_of_other_content_is_another(tmp_path, bundle, changed, content):
    other = write_bundle(tmp_path / "other", changed, content=content, provenance={})

    assert other.bundle_id != read_manifest(bundle).bundle_id


# --- what is refused -------------------------------------------------------------------------------


def test_flipped_byte_in_any_file_is_refused_by_its_name(bundle):
    for name in read_manifest(bundle).files:
        file = bundle / name
        intact = file.read_bytes()
        for place in (0, len(intact) // 2, len(intact) - 1):
            flip(file, place)

            assert str(file) in refused(bundle)

            file.write_bytes(intact)
    verify_bundle(bundle)


def test_flipped_bit_anywhere_in_the_manifest_is_refused_by_its_name(tmp_path):
    bundle = tmp_path / "bundle"
    write_bundle(bundle, Parts(texts={"x": "y"}), content={"k": 1.5}, provenance={"run": "r1"})
    file = bundle / MANIFEST
    intact = file.read_bytes()
    for place in range(len(intact)):
        flip(file, place, bit=place % 8)

        with pytest.raises(BundleError) as caught:
            read_manifest(bundle)

        assert str(file) in caught.value.problem
        file.write_bytes(intact)


@given(st.data())
@settings(max_examples=50)
def test_manifest_cut_off_anywhere_is_refused_by_its_name(tmp_path_factory, data):
    bundle = tmp_path_factory.mktemp("cut") / "bundle"
    write_bundle(bundle, parts(), content=CONTENT, provenance={})
    file = bundle / MANIFEST
    intact = file.read_bytes()
    file.write_bytes(intact[: data.draw(st.integers(0, len(intact) - 1))])

    assert str(file) in refused(bundle)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "7",
        '"x"',
        "{}",
        '{"schema_version": 1}',
        "\0\xff",
        "[" * 100_000,
        '{"schema_version": NaN}',
    ],
    ids=lambda text: repr(text[:12]),
)
def test_manifest_that_is_none_is_refused_by_its_name(bundle, text):
    (bundle / MANIFEST).write_text(text, encoding="latin-1")

    assert str(bundle / MANIFEST) in refused(bundle)


def test_manifest_edited_in_its_provenance_is_refused(bundle):
    text = (bundle / MANIFEST).read_text()
    (bundle / MANIFEST).write_text(text.replace('"r1"', '"r2"'))

    assert str(bundle / MANIFEST) in refused(bundle)


def test_manifest_with_not_a_number_is_refused(bundle):
    text = (bundle / MANIFEST).read_text()
    (bundle / MANIFEST).write_text(text.replace("0.30000000000000004", "NaN"))

    assert str(bundle / MANIFEST) in refused(bundle)


def test_manifest_of_another_schema_version_names_both(bundle):
    forge(bundle, schema_version=2)

    problem = refused(bundle)

    assert "2" in problem.replace(str(bundle), "")
    assert "1" in problem.replace(str(bundle), "")


def test_forger_that_changes_nothing_is_believed(bundle):
    # Else the forgeries below would be refused for the forger's own mistakes.
    before = (bundle / MANIFEST).read_bytes()

    forge(bundle)

    assert (bundle / MANIFEST).read_bytes() == before
    verify_bundle(bundle)


@pytest.mark.parametrize("name", ["../secret.txt", "routes/../../secret.txt", "{absolute}"])
def test_manifest_that_names_a_file_outside_is_refused(bundle, name):
    secret = bundle.parent / "secret.txt"
    secret.write_text("secret")
    name = name.format(absolute=secret)
    forge(bundle, files={name: entry(b"secret")})

    assert "outside" in refused(bundle)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.npy", b""),
        ("x.npy", b"no array"),
        ("x.parquet", b"no table"),
        ("x.txt", b"\xff\xfe\xff"),
        ("x.pkl", b"\x80\x04N."),
    ],
)
def test_file_that_is_not_what_its_suffix_says_is_refused_by_its_name(bundle, name, data):
    (bundle / name).write_bytes(data)
    forge(bundle, files={name: entry(data)})

    with pytest.raises(BundleError) as caught:
        Bundle.read(bundle)

    assert name in caught.value.problem


def test_pickled_array_is_refused(bundle):
    array = np.array([{"a": 1}], object)
    np.save(bundle / "x.npy", array, allow_pickle=True)  # check-tree: allow one that must be refused
    forge(bundle, files={"x.npy": entry((bundle / "x.npy").read_bytes())})

    with pytest.raises(BundleError, match=r"x\.npy"):
        Bundle.read(bundle)


def test_missing_file_is_refused_by_its_name(bundle):
    (bundle / "movies.parquet").unlink()

    assert str(bundle / "movies.parquet") in refused(bundle)


def test_folder_in_place_of_a_file_is_refused_by_its_name(bundle):
    (bundle / "movies.parquet").unlink()
    (bundle / "movies.parquet").mkdir()

    assert str(bundle / "movies.parquet") in refused(bundle)


def test_missing_bundle_is_refused_by_its_name(tmp_path):
    assert str(tmp_path / "none" / MANIFEST) in refused(tmp_path / "none")


def test_name_with_a_zero_byte_is_refused(bundle):
    forge(bundle, files={"a\0b.txt": entry(b"")})

    refused(bundle)


def test_stranger_is_found_by_verify(bundle):
    (bundle / "routes" / "stranger.npy").write_bytes(b"")

    with pytest.raises(BundleError, match="stranger"):
        verify_bundle(bundle)


# --- writing, and failing to -------------------------------------------------------------------------


def test_write_over_a_bundle_is_refused_and_leaves_it(bundle):
    before = (bundle / MANIFEST).read_bytes()

    with pytest.raises(BundleError):
        write_bundle(bundle, parts(2.0), content=CONTENT, provenance={})

    assert (bundle / MANIFEST).read_bytes() == before


@pytest.mark.parametrize(
    ("bad", "content"),
    [
        (Parts(arrays={"x": np.array([None])}), {}),
        (parts(), {"metric": float("nan")}),
        (parts(), {"x": {1, 2}}),
    ],
    ids=["objects", "not a number", "no JSON"],
)
def test_write_of_what_no_bundle_holds_fails_and_leaves_nothing(tmp_path, bad, content):
    with pytest.raises((ValueError, TypeError)):
        write_bundle(tmp_path / "bundle", bad, content=content, provenance={})

    assert list(tmp_path.iterdir()) == []


def test_write_into_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(BundleError):
        write_bundle(tmp_path / "file" / "bundle", parts(), content={}, provenance={})


KILLED = """
    import os, signal, sys
    from pathlib import Path
    import numpy as np
    from marquee.bundle import Parts, write_bundle

    calls = 0

    def dying(name):
        real = getattr(os, name)

        def call(*arguments, **options):
            global calls
            calls += 1
            if calls == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        setattr(os, name, call)

    for name in ("mkdir", "fsync", "rename", "replace"):
        dying(name)
    arrays = {"a": np.zeros(9), "routes/b": np.ones(9)}
    write_bundle(Path(sys.argv[1]), Parts(arrays=arrays), content={}, provenance={})
    print(calls)
"""


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_write_killed_at_any_point_leaves_no_half_bundle_and_the_next_succeeds(tmp_path):
    whole = run(KILLED, tmp_path / "whole", 0)
    points = int(whole.stdout)
    assert points >= 6  # two folders made, three files and a folder synced, one renamed

    for point in range(1, points + 1):
        path = tmp_path / f"killed-{point}"

        killed = run(KILLED, path, point)

        assert killed.returncode == -9
        if path.exists():  # killed after the renaming: then it must be whole
            assert verify_bundle(path).bundle_id == verify_bundle(tmp_path / "whole").bundle_id
        else:
            write_bundle(path, parts(), content=CONTENT, provenance={})
            verify_bundle(path)


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from marquee.bundle import Parts, write_bundle
    from marquee.errors import BundleError

    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
    small, large = np.zeros(10), np.zeros(10_000)
    try:
        write_bundle(Path(sys.argv[1]), Parts(arrays={"a": small, "b": large}), content={}, provenance={})
    except BundleError as error:
        print(error.problem)
"""


def test_write_the_disk_refuses_is_a_bundle_error_and_leaves_nothing(tmp_path):
    done = run(FULL_DISK, tmp_path / "bundle")

    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "bundle") in done.stdout
    assert list(tmp_path.iterdir()) == []
