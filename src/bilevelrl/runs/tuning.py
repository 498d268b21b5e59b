"""Score candidates on tuning seeds, and write the best in the form of params.yaml."""

from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.execution import ResultCache
from bilevelrl.runs.leaders import list_runs, train_runs
from bilevelrl.runs.params import Params
from bilevelrl.runs.records import is_late, setting_string
from bilevelrl.runs.tuning_params import TuningParams

HYPERPARAMETERS = (
    "step_size", "critic_step_size", "oracle_steps_per_update", "radius", "actor_steps",
    "critic_steps", "step_size_ratio", "momentum", "sensitivity", "forgetting", "smoothing",
)  # fmt: skip
CONDITIONS = ("variant", "temperature", "env_steps_per_update", "num_envs")


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
        late = is_late(arrays["update"], run.setting.num_updates, 0.1)
        finals.setdefault(candidate, []).append(float(arrays["leader_return_mean"][late].mean()))
    table = pd.DataFrame(rows.values()).dropna(axis="columns", how="all")
    table["score"] = [np.mean(values) for values in finals.values()]
    table["standard_error"] = [pd.Series(values).sem() for values in finals.values()]
    table["seeds"] = [len(values) for values in finals.values()]
    return table


def entry_name(setting: Setting) -> str:
    """Name of a chosen setting in params.yaml, e.g. published_100_t003."""
    budget = getattr(setting, "env_steps_per_update", None)
    steps = "" if budget is None else f"_{budget}"
    return f"{setting.variant}{steps}_t{round(1000 * setting.temperature):03d}"


def winners(tuning: TuningParams, name: str, table: pd.DataFrame) -> list[Setting]:
    """The candidate with the highest score under every condition, ties to the first one listed.

    Args:
        tuning: the searches.
        name: which of them.
        table: of `score_candidates`, perhaps read from its file.

    Raises:
        ConfigError: if the table is not that of the search's candidates, in their order.
    """
    candidates = tuning.settings(name)
    rows = table.to_dict("records")
    described = len(rows) == len(candidates) and all(
        _describes(row, setting) for row, setting in zip(rows, candidates, strict=True)
    )
    if not described:
        raise ConfigError(
            f"tuning/results/{name}.csv has other candidates than grid.{name} of "
            f"tuning/params.yaml: search again"
        )
    best: dict[tuple[Any, ...], int] = {}
    for position, setting in enumerate(candidates):
        condition = tuple(getattr(setting, key, None) for key in CONDITIONS)
        other = best.setdefault(condition, position)
        if rows[position]["score"] > rows[other]["score"]:
            best[condition] = position
    return [candidates[position] for position in best.values()]


def _describes(row: dict[Any, Any], setting: Setting) -> bool:
    scores = ("score", "standard_error", "seeds")
    return row["seeds"] == setting.num_seeds and all(
        getattr(setting, key) == (None if pd.isna(value) else value)
        for key, value in row.items()
        if key not in scores
    )


def choose(tuning: TuningParams, name: str, table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The winners of a search by name, in the form of params.yaml."""
    keys = dict.fromkeys((*CONDITIONS, *tuning.grid[name].candidates))
    return {
        entry_name(setting): setting.model_dump(include=set(keys), exclude_none=True)
        for setting in winners(tuning, name, table)
    }


def effort_table(tuning: TuningParams) -> pd.DataFrame:
    """How much every search tried.

    Returns:
        One row per search and variant: problem, estimator, variant, search, `swept` (names of the
        hyper-parameters with several candidates), `conditions`, `candidates` under each, `seeds` of
        each candidate.
    """
    rows = []
    for name, cell in tuning.grid.items():
        settings = tuning.settings(name)
        several = [key for key, values in cell.candidates.items() if len(values) > 1]
        swept = [key for key in several if key not in CONDITIONS]
        for variant in cell.variants:
            own = [setting for setting in settings if setting.variant == variant]
            under = {tuple(getattr(setting, key, None) for key in CONDITIONS) for setting in own}
            rows.append(
                {
                    "problem": cell.problem,
                    "estimator": cell.estimator,
                    "variant": variant,
                    "search": name,
                    "swept": ", ".join(swept),
                    "conditions": len(under),
                    "candidates": len(own) // len(under),
                    "seeds": tuning.seeds_of(name),
                }
            )
    return pd.DataFrame(rows)
