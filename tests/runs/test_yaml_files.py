"""YAML is read as DVC reads it, and what is written comes back to both."""

from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml, load_yaml

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.params import read_params
from bilevelrl.runs.yaml_files import mapping_text, read_mapping

ROOT = Path(__file__).parents[2]
SCALARS = (
    "1e-5", "1E5", "1.e-5", "1.0e-5", "1e-05", "1E+5", ".5", "5.", "+.5", "-1e-3", "1e1000",
    "12e03", "010", "0o10", "0x1F", "0b11", "1_000", "1_000.5", "+1", "-0",
    "yes", "no", "on", "off", "Yes", "y", "n", "true", "True", "TRUE", "null", "~", "",
    ".nan", ".NaN", ".inf", "-.inf", "nan", "inf", "1:30", "2020-01-01", "2020-1-1", "0.1e", "'1'",
)  # fmt: skip


@pytest.mark.parametrize("scalar", SCALARS)
def test_a_scalar_is_read_as_dvc_reads_it(tmp_path: Path, scalar: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"key: {scalar}\n", encoding="utf-8")
    own, theirs = read_mapping(path)["key"], load_yaml(path)["key"]
    assert (type(own), repr(own)) == (type(theirs), repr(theirs))


@pytest.mark.parametrize("name", ["params.yaml", "tuning/params.yaml", "profiles/smoke.yaml"])
def test_our_own_files_are_read_as_dvc_reads_them(name: str) -> None:
    assert read_mapping(ROOT / name) == load_yaml(ROOT / name)


@pytest.mark.parametrize(
    ("text", "value"), [("1e-5", 1e-5), ("1e-05", 1e-5), ("no", "no"), ("010", 10)]
)
def test_numbers_and_words_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"key: {text}\n", encoding="utf-8")
    assert read_mapping(path) == {"key": value}


def test_what_is_written_comes_back_to_us_and_to_dvc(tmp_path: Path) -> None:
    # Text that looks like numbers, in YAML 1.1 or 1.2, stays text; numbers stay numbers.
    content = {
        "z": {"b": 1e-5, "a": 1e-10, "c": 2e22, "d": [1, 1.0, True, None, ""]},
        "text": [text for text in SCALARS if not text.startswith("'")],
        "budgets": {100: 1, 1000: 5},
        "long": "word " * 100,
        "unicode": "θ",
    }
    path = tmp_path / "params.yaml"
    write_atomically(path, mapping_text(content).encode())
    assert repr(read_mapping(path)) == repr(load_yaml(path)) == repr(content)


def test_a_step_size_that_dvc_has_written_is_a_number(tmp_path: Path) -> None:
    content = read_mapping(ROOT / "params.yaml")
    content["problems"]["bilevel_lqr"]["training"]["step_size"] = 1e-5
    path = tmp_path / "params.yaml"
    path.write_text(dumps_yaml(content), encoding="utf-8")
    assert "step_size: 1e-05\n" in path.read_text(encoding="utf-8")
    assert read_params(path).block("bilevel_lqr").training.step_size == 1e-5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {b: 1}\na: {b: 2}\n", r'line 2: .*duplicate key "a"'),
        ("a:\n  b: 1\n  b: 2\n", r'line 3: .*duplicate key "b"'),
        ("a: 1\n---\na: 2\n", "line 2: .*another document"),
        ("a: !!python/object:os.system x\n", "line 1: .*tag"),
        ("a: \0\n", "control characters"),
    ],
)
def test_what_is_no_mapping_is_refused_in_one_line(
    tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=expected) as caught:
        read_mapping(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_folder_is_refused_and_a_byte_order_mark_is_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        read_mapping(tmp_path)
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    assert read_mapping(path) == {"a": 1}
