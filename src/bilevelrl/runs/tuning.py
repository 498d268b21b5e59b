"""Score candidates on tuning seeds, and write the best in the form of params.yaml."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bilevelrl.core.settings import Setting, flat
from bilevelrl.core.validation import ConfigError, Content
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
    rows: dict[str, Content] = {}
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


def searched(tuning: TuningParams, name: str, setting: Setting) -> Content:
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

    Raises:
        ConfigError: if the table is not that of the search's candidates, in their order.
    """
    candidates, rows = tuning.settings(name), table.to_dict("records")
    scores, seeds = ("score", "standard_error", "seeds"), tuning.seeds_of(name)
    described = [
        {key: value for key, value in row.items() if key not in scores and not pd.isna(value)}
        for row in rows
    ]
    expected = [searched(tuning, name, setting) for setting in candidates]
    if described != expected or any(row["seeds"] != seeds for row in rows):
        raise ConfigError(
            f"tuning/results/{name}.csv has other candidates than grid.{name} of "
            f"tuning/params.yaml: search again"
        )
    best: dict[tuple[object, ...], int] = {}
    for position, setting in enumerate(candidates):
        other = best.setdefault(_condition(setting), position)
        if rows[position]["score"] > rows[other]["score"]:
            best[_condition(setting)] = position
    return [candidates[position] for position in best.values()]


def _condition(setting: Setting) -> tuple[object, ...]:
    return tuple(getattr(setting, key, None) for key in CONDITIONS)


def choose(tuning: TuningParams, name: str, table: pd.DataFrame) -> dict[str, Content]:
    """The winners of a search by name, in the form of params.yaml."""
    own = tuning.grid[name].candidates
    return {
        entry_name(setting): _chosen(setting.model_dump(exclude_none=True), own)
        for setting in winners(tuning, name, table)
    }


def _chosen(setting: Content, asked: Content) -> Content:
    """What a search sets, nested as in params.yaml."""
    conditions = {key: setting[key] for key in CONDITIONS if key in setting}
    return conditions | {
        key: {inner: setting[key][inner] for inner in value}
        if isinstance(value, Mapping)
        else setting[key]
        for key, value in asked.items()
    }


def effort_table(tuning: TuningParams) -> pd.DataFrame:
    """How much every search tried: one row per search and variant.

    `swept` has the names of the hyper-parameters with several candidates; `candidates` are counted
    under each of the `conditions`, `seeds` for each candidate.
    """
    rows = []
    for name, cell in tuning.grid.items():
        settings = tuning.settings(name)
        lists = flat(cell.candidates).items()
        several = [key for key, own in lists if isinstance(own, list) and len(own) > 1]
        swept = [key for key in several if key not in CONDITIONS]
        for variant in cell.variants:
            own = [setting for setting in settings if setting.variant == variant]
            under = {_condition(setting) for setting in own}
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
