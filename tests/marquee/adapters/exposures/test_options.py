"""Options as a Secret holds them: what is wrong is said without telling what they are."""

from pathlib import Path

import pytest

from marquee.adapters.exposures.options import read_options
from marquee.errors import ConfigError


def test_options_of_a_file_are_its_pairs(tmp_path: Path):
    path = tmp_path / "client.properties"
    path.write_text("# of the cluster\n\nsecurity.protocol = SASL_SSL\nsasl.password=a=b \n")

    assert read_options(path) == {"security.protocol": "SASL_SSL", "sasl.password": "a=b"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a=1\nhidden\n", "line 2 .* is not name=value"),
        (b"=hidden\n", "line 1 .* is not name=value"),
        (b"a=1\na=hidden\n", "line 2 .* names a again"),
        (b"a=hidden\xff", "no UTF-8"),
        (None, "No such file"),
    ],
)
def test_options_that_cannot_be_read_are_refused_without_their_values(tmp_path: Path, content, said):
    path = tmp_path / "options"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=said) as caught:
        read_options(path)

    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
