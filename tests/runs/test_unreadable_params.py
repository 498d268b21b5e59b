"""Files that hold no parameters."""

from pathlib import Path

import pytest

from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.params import read_params


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"runtime: [1, 2", "while parsing a flow sequence"),
        (b"runtime: jobs: 2", "mapping values are not allowed in this context"),
        (b"- runtime\n- problems\n", "expected a mapping, got list"),
        (b"", "expected a mapping, got NoneType"),
        (b"\xff\xfe\x00\x01", "can't decode byte 0xff"),
    ],
)
def test_a_file_that_is_no_yaml_mapping_is_refused(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=expected) as caught:
        read_params(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml: .*No such file"):
        read_params(tmp_path / "params.yaml")
