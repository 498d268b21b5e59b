"""README's table "what then reruns", tried with `dvc repro --dry` in the computed clone."""

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bilevelrl.config import read_mapping
from tests.pipeline.conftest import Computed

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def rows() -> Iterator[tuple[str, list[str]]]:
    """(`key: value`, patterns of stages) of the table; no pattern where nothing reruns."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("<!-- reruns -->")[2].partition("<!-- end -->")[0]
    for line in table.strip().splitlines()[2:]:
        change, stages = (part.strip() for part in line.strip("|").split("|"))
        yield change.strip("`"), re.findall(r"`([^`]+)`", stages)


ROWS = list(rows())


def test_the_table_speaks_of_all_kinds_of_stages() -> None:
    said = " ".join(pattern for _, stages in ROWS for pattern in stages)
    for kind in ("environments", "followers", "leaders", "gradients", "evaluate", "figures"):
        assert kind in said
    assert ("nothing", []) in ROWS


@pytest.mark.parametrize(("change", "patterns"), ROWS, ids=[change for change, _ in ROWS])
def test_a_change_reruns_what_the_readme_says(
    computed: Computed, change: str, patterns: list[str]
) -> None:
    clone = computed.dry
    params = clone.folder / "params.yaml"
    before = params.read_bytes()
    try:
        if change != "nothing":
            key, _, value = change.partition(": ")
            block = read_mapping(params)
            for part in key.split("."):
                block = block[part]  # the key exists in the smoke profile too
            clone.set(key, YAML(typ="safe", pure=True).load(value))
        # Whatever hangs on a changed stage may run: its results decide that later.
        listed = clone.run("dvc", "repro", "--dry", "--force-downstream").stages
    finally:
        params.write_bytes(before)
    expected = {
        stage
        for pattern in patterns
        for stage in clone.stages()
        if fnmatch.fnmatchcase(stage, pattern)
    }
    assert set(listed) == expected
    for pattern in patterns:
        assert fnmatch.filter(listed, pattern), pattern
