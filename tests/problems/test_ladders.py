"""Every problem's ladder, as the studies read it."""

import pytest

from bilevelrl.problems import registry
from bilevelrl.runs.params import read_params

LADDERS = [
    (name, registry.part(block.kind, "ladder"))
    for name, block in read_params().problems.items()
    if registry.has(block.kind, "ladder")
]


@pytest.mark.parametrize(("name", "ladder"), LADDERS, ids=[name for name, _ in LADDERS])
def test_every_rung_has_an_id_of_its_own(name: str, ladder: object) -> None:
    for rungs in (ladder.LADDER, getattr(ladder, "DIRECTIONS", ())):  # type: ignore[attr-defined]
        ids = [rung.id for rung in rungs]
        assert len(set(ids)) == len(ids), name
        for rung in rungs:
            assert rung.id.startswith(f"{rung.estimator}_{rung.variant}")
            assert rung.id.isidentifier()
