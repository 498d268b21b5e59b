"""Everything computed twice, in a copy of the computed clone.

Apart from `test_smoke.py` so that two processes can share the work: this takes as long as all that
stands there after the first run.
"""

import pytest

from tests.pipeline.conftest import Computed

pytestmark = pytest.mark.slow


def test_forcing_all_stages_gives_the_same_bytes(computed: Computed) -> None:
    clone = computed.forced
    before = clone.hashes()
    output = clone.run("dvc", "repro", "--force")
    assert sorted(output.stages) == sorted(clone.stages())
    after = clone.hashes()
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == set()
    assert len(before) > 50
