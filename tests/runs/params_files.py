"""Writing parameter files that are wrong, and the message with which they are refused."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.params import Params
from bilevelrl.runs.yaml_files import read_mapping

ROOT = Path(__file__).parents[2]
Content = dict[str, Any]
Read = Callable[[Content], Params]


def load(name: str) -> Content:
    return read_mapping(ROOT / name)


def changed(content: Content, key: str, value: Any) -> Content:
    """A copy with one dotted key set, or removed where the value is `...`."""
    content = copy.deepcopy(content)
    *path, last = key.split(".")
    block = content
    for part in path:
        block = block[part]
    if value is ...:
        del block[last]
    else:
        block[last] = value
    return content


def refusal(read: Read, content: Content) -> str:
    """The message with which the content is refused; always one line."""
    with pytest.raises(ConfigError) as caught:
        read(content)
    message = str(caught.value)
    assert "\n" not in message
    assert "params.yaml" in message
    return message


def named(key: str) -> str:
    """A dotted key as messages have it: an entry of `cells`, then the key in it."""
    parts = key.split(".")
    if ".cells." not in key:
        return key
    return f"{'.'.join(parts[:5])}: {'.'.join(parts[5:])}"
