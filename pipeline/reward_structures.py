"""DVC stage `reward_structures`: where the indirect term is worth having, on random games.

Reads:  params.yaml (reward_structures, followers, evaluate.confidence).
Writes: results/reward_structures.csv, columns
        `studies.reward_structures.REWARD_STRUCTURE_COLUMNS`.
"""

from pathlib import Path

from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.remembering import tasks_runner
from bilevelrl.runs.table_files import write_csv
from bilevelrl.studies.reward_structures import reward_structures
from pipeline.stage import run_stage


def main(params: Params, root: Path = Path()) -> None:
    """Write the table of the project in `root`."""
    table = reward_structures(
        params.reward_structures,
        params.followers,
        params.evaluate.confidence,
        tasks_runner(params.runtime),
    )
    write_csv(root / "results" / "reward_structures.csv", table)


if __name__ == "__main__":
    run_stage(lambda: main(read_params()))
