"""YAML files, read and written as DVC does: YAML 1.2, in which 1e-5 is a number and `no` a word."""

import io
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bilevelrl.core.validation import ConfigError, Content, shortened


def read_mapping(path: Path, *, may_be_empty: bool = False) -> Content:
    """The mapping in a YAML file.

    Raises:
        ConfigError: if the file cannot be read, is not YAML, repeats a key, or is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {shortened(str(error))}") from error
    return parse_mapping(text, str(path), may_be_empty=may_be_empty)


def parse_mapping(text: str, where: str, *, may_be_empty: bool = False) -> Content:
    """The mapping that a text is, as `read_mapping`; errors start with `where`."""
    try:
        content = YAML(typ="safe").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = [f"line {mark.line + 1}"] if mark else []
        said = [shortened(part) for part in (error.context, error.problem) if part]
        raise ConfigError(": ".join([where, *place, *said])) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: {shortened(str(error))}") from error
    if content is None and may_be_empty:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: expected a mapping, got {type(content).__name__}")
    return content


def mapping_text(content: Mapping[str, object]) -> str:
    """YAML of a mapping in its own order, which `read_mapping` and DVC read as the same again."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 200
    stream = io.StringIO()
    yaml.dump(dict(content), stream)
    return stream.getvalue()
