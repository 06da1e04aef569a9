from pathlib import Path
from typing import Any

import pytest

from marquee.data.mapping import Mapping, preset_names
from marquee.errors import ConfigError

MINIMAL: dict[str, Any] = {
    "format": "csv",
    "columns": {"user_id": "u", "item_id": "i", "timestamp": "t"},
    "constants": {"interaction_type": "view"},
}


def built(**changes: Any) -> Mapping:
    return Mapping.from_dict(MINIMAL | changes, origin="m.yaml")


def test_mapping_from_a_file_equals_the_one_built_in_code(tmp_path: Path):
    file = tmp_path / "m.yaml"
    file.write_text(
        "format: csv\ncolumns: {user_id: u, item_id: i, timestamp: t}\nconstants: {interaction_type: view}\n"
    )

    mapping = Mapping.from_file(file)

    assert mapping == Mapping(**MINIMAL)
    assert mapping.content_hash == built().content_hash


def test_content_hash_of_another_unit_differs():
    assert built(timestamp_unit="ms").content_hash != built().content_hash


@pytest.mark.parametrize(
    ("name", "delimiter", "header"),
    [
        ("movielens-u-data", "\t", False),
        ("movielens-ratings-dat", "::", False),
        ("movielens-ratings-csv", ",", True),
        ("recbole-inter", "\t", True),
    ],
)
def test_preset_of_a_known_layout_has_its_delimiter_and_header(name: str, delimiter: str, header: bool):
    mapping = Mapping.load(name)

    assert (mapping.delimiter, mapping.header) == (delimiter, header)


def test_every_preset_is_valid():
    assert len([Mapping.preset(name) for name in preset_names()]) >= 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"formt": "csv"}, ("m.yaml", "formt")),
        ({"format": "xml"}, ("m.yaml", "format", "xml")),
        ({"columns": {"user_id": "u"}}, ("item_id", "missing")),
        ({"columns": {"user": "u"}}, ("'user'", "user_id")),
        ({"columns": MINIMAL["columns"] | {"value": -1}}, ("value", "-1")),
        ({"columns": MINIMAL["columns"] | {"interaction_type": "k"}}, ("interaction_type", "too")),
        ({"constants": {"interaction_type": "watch"}}, ("watch", "rating")),
        ({"interaction_types": {"seen": "watch"}}, ("watch", "rating")),
        ({"delimiter": ""}, ("delimiter",)),
        ({"delimiter": "::"}, ("::", "quoting")),
        ({"header": False}, ("'u'", "position")),
        ({"format": "jsonl", "columns": {"user_id": 0, "item_id": 1, "timestamp": 2}}, ("position",)),
        ({"fields": 4}, ("fields", "header")),
        (
            {"header": False, "fields": 2, "columns": {"user_id": 0, "item_id": 1, "timestamp": 2}},
            ("fields", "2"),
        ),
        ({"timestamp_unit": "minutes"}, ("timestamp_unit", "minutes", "iso8601")),
        ({"timestamp_unit": "%H:%M"}, ("timestamp_unit", "%H:%M")),
        ({"timestamp_unit": "%Y-%m-%d %H:%M:%S.%f"}, ("%.f",)),
        ({"time_zone": "Mars/Olympus"}, ("time_zone", "Mars/Olympus")),
        ({"encoding": "utf-16"}, ("encoding", "utf-16")),
    ],
)
def test_mapping_with_a_fault_names_key_and_value(changes: dict[str, Any], words: tuple[str, ...]):
    with pytest.raises(ConfigError) as caught:
        built(**changes)

    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "format: [csv\n", "a: b: c\n"])
def test_mapping_file_that_holds_no_mapping_is_refused_by_name(tmp_path: Path, text: str):
    file = tmp_path / "broken.yaml"
    file.write_text(text)

    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        Mapping.from_file(file)


def test_mapping_file_that_is_missing_or_binary_is_refused_with_the_presets_named(tmp_path: Path):
    (tmp_path / "binary.yaml").write_bytes(b"\x89PNG\xff")

    for name in ("absent.yaml", "binary.yaml"):
        with pytest.raises(ConfigError, match="movielens-u-data") as caught:
            Mapping.load(tmp_path / name)
        assert name in caught.value.problem


def test_preset_with_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="recbole-inter"):
        Mapping.preset("movielens")


def test_mapping_of_a_whole_folder_says_what_to_give_instead():
    with pytest.raises(ConfigError, match="a whole folder") as caught:
        Mapping.from_dict({"interactions": {"files": "*.csv", "mapping": MINIMAL}}, origin="mapping.yaml")

    assert "interactions.mapping" in caught.value.remedy
