"""Made-up settings, written as their names are: key=value pairs joined by ";"."""

from typing import Any

import pandas as pd

from bilevelrl.evaluation.conditions import GROUP, conditions_of, with_conditions
from bilevelrl.runs.records import RunIdentity


def conditions(setting: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in setting.split(";") if pair)


def identity(
    problem: str, estimator: str, variant: str, setting: str, seed: int, key: str = "", **more: Any
) -> RunIdentity:
    """By default, what every problem has roles for."""
    told, roles = conditions(setting), more.pop("roles", "env_steps_per_update=budget")
    return RunIdentity(
        problem, estimator, variant, setting, seed, key, conditions=told, roles=roles, **more
    )


def settings_of(table: pd.DataFrame, **more: Any) -> pd.DataFrame:
    groups = table[GROUP].drop_duplicates().itertuples(index=False)
    return conditions_of(identity(*map(str, group), 0, **more) for group in groups)


def conditioned(table: pd.DataFrame, **more: Any) -> pd.DataFrame:
    """A table with the conditions that its settings' names tell."""
    return with_conditions(table, settings_of(table, **more))
