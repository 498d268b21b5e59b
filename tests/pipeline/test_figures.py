"""Stage `figures` on a small synthetic project."""

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from bilevelrl.figures import style
from bilevelrl.runs.params import Params
from bilevelrl.runs.table_files import write_json
from pipeline import comparison, evaluate, figures
from tests.pipeline.made_up import (
    FINAL,
    MAIN,
    TRUNCATED,
    figures_of,
    write_cell,
)

#: Drawn once, of all problems together.
SHARED = {
    "information_levels", "information_errors", "follower_accuracy", "total_samples",
    "follower_learning", "reward_structures", "estimator_budgets",
}  # fmt: skip


def test_figures_stage_writes_every_name_even_without_its_study(
    params: Params, evaluated: Path
) -> None:
    figures.main("four_rooms", params, evaluated)
    comparison.main(params.returns, evaluated)
    own = [f"four_rooms/{name}" for name in figures_of("four_rooms")]
    for name in (*own, *(f"comparison/{name}" for name in SHARED)):
        assert (evaluated / "figures" / "png" / f"{name}.png").stat().st_size > 1000
        assert (evaluated / "figures" / "pdf" / f"{name}.pdf").stat().st_size > 1000
    tables = evaluated / "results" / "tables" / "four_rooms"
    assert "| 0.003 | BC-HG | 0.375 ± 0.131 |" in (tables / "results_mean.md").read_text()
    assert "BC-HG" in (tables / "against_published.tex").read_text()


def test_further_temperatures_get_figures_of_their_own(params: Params, project: Path) -> None:
    hotter = MAIN.replace("0.003", "0.005")
    write_cell(
        project,
        "bc_hg",
        {("published", MAIN): FINAL, ("published", hotter): FINAL, ("published", TRUNCATED): FINAL},
    )
    metadata = project / "data" / "environments" / "four_rooms" / "metadata.json"
    content = json.loads(metadata.read_text())
    content["entries"] += [entry | {"temperature": 0.005} for entry in content["entries"]]
    write_json(metadata, content)
    block = params.block("four_rooms")
    search = block.search.model_copy(update={"temperatures": (0.005, 0.003)})
    problems = {**params.problems, "four_rooms": block.model_copy(update={"search": search})}
    params = params.model_copy(update={"problems": problems})
    evaluate.main(params, project)
    figures.main("four_rooms", params, project)
    drawn = {path.stem for path in (project / "figures" / "png" / "four_rooms").glob("*.png")}
    further = (
        "learning_curves_updates",
        "learning_curves_env_steps",
        "final_return",
        "penalty_maps",
        "sample_cost",
    )
    assert drawn == {
        *figures_of("four_rooms"),
        *(f"{name}_temperature_0.003" for name in further),
    }
    # The study was made at the second temperature only, and still fills the plain name.
    sizes = [
        (project / "figures" / "png" / "four_rooms" / f"{n}.png").stat().st_size
        for n in ("truncated_follower", "initial_spread")
    ]
    assert sizes[0] > 2 * sizes[1]


def test_the_default_of_the_spread_study_is_that_of_the_training(
    params: Params, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = MAIN.replace("full;", "full;initial_spread=3.0;")
    write_cell(project, "bc_hg", {("published", MAIN): FINAL, ("published", wide): FINAL})
    block = params.block("four_rooms")
    training = block.training.model_copy(update={"initial_spread": 0.02})
    problems = {**params.problems, "four_rooms": block.model_copy(update={"training": training})}
    evaluate.main(params, project)
    drawn: dict[str, Figure] = {}
    monkeypatch.setattr(style, "save", lambda figure, folder, name: drawn.update({name: figure}))
    figures.main("four_rooms", params.model_copy(update={"problems": problems}), project)
    for ax in drawn["four_rooms/initial_spread"].axes:
        (line,) = (container.lines[0] for container in ax.containers)  # type: ignore[attr-defined]
        assert line.get_xdata() == pytest.approx([0.02, 3.0])
