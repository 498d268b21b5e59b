"""Score candidates on tuning seeds, and write the best in the form of params.yaml."""

from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.config import Params, TuningParams
from bilevelrl.execution import ResultCache
from bilevelrl.leaders import list_runs, train_runs
from bilevelrl.records import setting_string

HYPERPARAMETERS = (
    "step_size", "critic_step_size", "oracle_steps_per_update", "radius", "actor_steps",
    "critic_steps", "step_size_ratio", "momentum", "sensitivity", "forgetting", "smoothing",
)  # fmt: skip
CONDITIONS = ("variant", "temperature", "env_steps_per_update", "num_envs")
COUNTS = {
    "env_steps_per_update", "num_envs", "oracle_steps_per_update", "actor_steps", "critic_steps",
}  # fmt: skip


def score_candidates(
    params: Params, tuning: TuningParams, name: str, cache: ResultCache
) -> pd.DataFrame:
    """Train every candidate of a cell.

    Returns:
        One row per candidate: conditions, hyper-parameters as far as candidates have them, `score`
        (mean over seeds of J over the last tenth of the updates, the paper's criterion), its
        standard error, number of seeds.
    """
    cell = tuning.grid[name]
    runs = list_runs(params, cell.problem, cell.estimator, tuning.settings(name))
    results = train_runs(params, cell.problem, cell.estimator, runs, cache)
    rows: dict[str, dict[str, Any]] = {}
    finals: dict[str, list[float]] = {}
    for run in runs:
        own = run.setting.model_dump()
        content = {key: own[key] for key in (*CONDITIONS, *HYPERPARAMETERS) if key in own}
        candidate = setting_string(content)
        rows[candidate] = content
        arrays = results[run.key]
        late = arrays["update"] >= 0.9 * run.setting.num_updates
        finals.setdefault(candidate, []).append(float(arrays["leader_return_mean"][late].mean()))
    table = pd.DataFrame(rows.values()).dropna(axis="columns", how="all")
    table["score"] = [np.mean(values) for values in finals.values()]
    table["standard_error"] = [np.std(values) / len(values) ** 0.5 for values in finals.values()]
    table["seeds"] = [len(values) for values in finals.values()]
    return table


def entry_name(variant: str, temperature: float, budget: float | None) -> str:
    """Name of a chosen setting in params.yaml, e.g. published_100_t003."""
    steps = "" if budget is None or pd.isna(budget) else f"_{int(budget)}"
    return f"{variant}{steps}_t{round(1000 * temperature):03d}"


def choose(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The candidate with the highest score under every condition, ties to the first one listed."""
    chosen = {}
    conditions = [key for key in CONDITIONS if key in table]
    swept = [key for key in HYPERPARAMETERS if key in table]
    for _, group in table.groupby(conditions, sort=True, dropna=False):
        best = group.sort_values("score", ascending=False, kind="stable").iloc[0].to_dict()
        entry = {key: best[key] for key in (*conditions, *swept) if pd.notna(best[key])}
        for key in COUNTS & set(entry):
            entry[key] = int(entry[key])
        budget = entry.get("env_steps_per_update")
        chosen[entry_name(entry["variant"], entry["temperature"], budget)] = entry
    return chosen
