"""Feast is imported without typeguard's rewriting, typeguard is as it was, and Feast's classes work."""

import subprocess
import sys
from pathlib import Path

import pytest
import typeguard

from marquee.adapters.feast_import import unchecked


def checked_class(module: str):
    """A class of that module whose method promises an int, as typeguard would see it."""

    class Promise:
        pass

    Promise.__module__ = module
    return Promise


def test_unchecked_leaves_the_package_alone_and_passes_others_on(monkeypatch: pytest.MonkeyPatch):
    heard = []
    original = lambda target, **options: heard.append((target, options)) or "checked"  # noqa: E731
    monkeypatch.setattr(typeguard, "typechecked", original)
    ours, inner, other, alike = map(checked_class, ["feast", "feast.entity", "elsewhere", "feasting"])

    with unchecked("feast"):
        assert typeguard.typechecked(ours) is ours
        assert typeguard.typechecked()(inner) is inner
        assert typeguard.typechecked(other) == "checked"
        assert typeguard.typechecked(typecheck_fail_callback=None)(alike) == "checked"

    assert heard == [(other, {}), (alike, {"typecheck_fail_callback": None})]
    assert typeguard.typechecked is original


def test_unchecked_restores_typeguard_after_an_error():
    original = typeguard.typechecked

    with pytest.raises(ImportError), unchecked("feast"):
        raise ImportError

    assert typeguard.typechecked is original


FRESH = """
import typeguard
original = typeguard.typechecked
import marquee.adapters.feast_offline
assert typeguard.typechecked is original
import os, tempfile
from prometheus_client import values
assert not [name for name in os.environ if name.startswith("PROMETHEUS")]
assert values.ValueClass.__name__ == "MutexValue"  # and not one that keeps files
from feast import Entity, Field, ValueType
from feast.types import Float32
user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
assert Entity.from_proto(user.to_proto()) == user
Field(name=7, dtype=Float32)  # typeguard would refuse it
import promising
try:
    promising.promise()
except typeguard.TypeCheckError:
    print("checked")
"""
PROMISING = """
from typeguard import typechecked
@typechecked
def promise() -> int:
    return "seven"
"""


def test_fresh_interpreter_imports_feast_unchecked_and_keeps_typeguard_for_others(tmp_path: Path):
    (tmp_path / "promising.py").write_text(PROMISING)  # typeguard reads the source of what it checks
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{FRESH}"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "checked\n"), done.stderr


def test_import_after_feast_itself_is_harmless():
    program = "import feast\nimport marquee.adapters.feast_offline as ours\nassert ours.AsofOfflineStore"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
