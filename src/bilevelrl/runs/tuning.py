"""Score candidates on tuning seeds, and write the best in the form of params.yaml."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.core.settings import Setting, flat
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.execution import ResultCache
from bilevelrl.runs.leaders import list_runs, train_runs
from bilevelrl.runs.params import Params
from bilevelrl.runs.records import is_late, setting_string
from bilevelrl.runs.tuning_params import TuningParams

CONDITIONS = ("variant", "temperature", "env_steps_per_update", "num_envs")


def score_candidates(
    params: Params, tuning: TuningParams, name: str, cache: ResultCache
) -> pd.DataFrame:
    """Train every candidate of a cell.

    Returns:
        One row per candidate: conditions, what the search sets, `score` (mean over seeds of J over
        the last tenth of the updates, the paper's criterion), its standard error, number of seeds.
    """
    cell = tuning.grid[name]
    runs = list_runs(params, cell.problem, cell.estimator, tuning.settings(name))
    results = train_runs(params, cell.problem, cell.estimator, runs, cache)
    rows: dict[str, dict[str, Any]] = {}
    finals: dict[str, list[float]] = {}
    for run in runs:
        content = searched(tuning, name, run.setting)
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


def searched(tuning: TuningParams, name: str, setting: Setting) -> dict[str, Any]:
    """Conditions and hyper-parameters of a candidate that its search sets, see `flat`."""
    own = flat(setting.model_dump())
    keys = dict.fromkeys((*CONDITIONS, *flat(tuning.grid[name].candidates)))
    return {key: own[key] for key in keys if own.get(key) is not None}


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
        _describes(row, searched(tuning, name, setting), tuning.seeds_of(name))
        for row, setting in zip(rows, candidates, strict=True)
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


def _describes(row: dict[Any, Any], candidate: dict[str, Any], seeds: int) -> bool:
    described = {key: value for key, value in row.items() if not pd.isna(value)}
    scores = ("score", "standard_error", "seeds")
    return row["seeds"] == seeds and candidate == {
        key: value for key, value in described.items() if key not in scores
    }


def choose(tuning: TuningParams, name: str, table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The winners of a search by name, in the form of params.yaml."""
    own = tuning.grid[name].candidates
    return {
        entry_name(setting): _chosen(setting.model_dump(exclude_none=True), own)
        for setting in winners(tuning, name, table)
    }


def _chosen(setting: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a search sets, nested as in params.yaml."""
    conditions = {key: setting[key] for key in CONDITIONS if key in setting}
    return conditions | {
        key: {inner: setting[key][inner] for inner in value}
        if isinstance(value, Mapping)
        else setting[key]
        for key, value in asked.items()
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
        lists = flat(cell.candidates).items()
        several = [key for key, own in lists if isinstance(own, list) and len(own) > 1]
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
