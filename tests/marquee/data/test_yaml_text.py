import pytest

from marquee.data.yaml_text import parse_yaml
from marquee.errors import ConfigError


def test_parse_yaml_gives_plain_values():
    assert parse_yaml("a: [1, x]", origin="m.yaml") == {"a": [1, "x"]}
    assert parse_yaml("", origin="m.yaml") is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a: [1", "line 1"),
        ("when: 2020-13-45", "month must be in 1..12"),
        ("[" * 5_000, "nested too deeply"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_parse_yaml_that_is_none_names_origin_and_fault(text, named):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, origin="m.yaml")

    assert "m.yaml is not valid YAML" in caught.value.problem
    assert named in caught.value.problem
