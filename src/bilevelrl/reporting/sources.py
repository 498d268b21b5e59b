"""Tracked tables as the documents quote them: one row per thing that a sentence can name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.evaluation import reference
from bilevelrl.evaluation.conditions import GROUP, read_conditions, with_conditions
from bilevelrl.figures import style
from bilevelrl.runs.yaml_files import read_mapping

#: First part of a table's name, and where its file lies; a name without one lies in results/.
FOLDERS = {
    "": "results",
    "benchmarks": "benchmarks/results",
    "identified": "results/identified",
    "more_seeds": "results/more_seeds",
    "paper": "results/paper",
    "reference": "reference",
    "tuning": "tuning/results",
}
#: Name of the table of what one run costs, see benchmarks/run_seconds.py.
SECONDS = "benchmarks/run_seconds"
#: Name of the table of what the hyper-parameter searches tried.
EFFORT = "effort"
_CONDITIONS = ["temperature", "env_steps_per_update"]
_NOT_SWEPT = [*_CONDITIONS, "variant", "num_envs", "score", "standard_error", "seeds"]
_EFFORT_COLUMNS = [
    "problem", "search", "variant", "swept", "conditions", "candidates", "fewest", "seeds",
]  # fmt: skip


class ReportError(ValueError):
    """A document or a registry asks for something that the results do not hold."""


@contextmanager
def about(place: object) -> Iterator[None]:
    """Name the place in a document or a registry of whatever the results do not hold."""
    try:
        yield
    except ReportError as error:
        raise ReportError(f"{place}: {error}") from error


class Sources:
    """Reads every table of the project in `root` once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.view = cache(self._view)

    def _view(self, name: str) -> pd.DataFrame:
        """The table of a name such as `summary`, `paper/summary` or `tuning/four_rooms-exact`.

        `summary` has one row per setting: its metrics and their intervals (`<metric>_low`,
        `<metric>_high`), its conditions, every key of the setting as `setting_<key>`, and where the
        paper has such a curve the columns of `against_published`; of these `<column>_as_published`
        leaves out the seeds that the published curve leaves out, if the table has it. `summary` and
        `model_knowledge` have the CPU seconds of a run as `cpu_seconds` where these were measured.

        `directions` has the drift of the published runs beside ours, `published_drift`. `effort`
        has one row per search of `tuning/` and variant: what is `swept`, under how many
        `conditions`, how many `candidates` each, and `seeds` of each candidate.

        Where there is an estimator, `label` names it and `order` is its place in the legends. Empty
        texts are "".

        Raises:
            ReportError: if there is no such file, or it is no table.
        """
        if name == EFFORT:
            return _labelled(_effort(self.root / FOLDERS["tuning"]))
        folder, _, table = name.rpartition("/")
        if folder not in FOLDERS:
            raise ReportError(f"no folder of tables is called {folder!r}; there are {[*FOLDERS]}")
        path = self.root / FOLDERS[folder] / f"{table}.csv"
        rows = _read(path)
        if table in _BESIDE:
            rows = _BESIDE[table](rows, self, folder)
        return _labelled(rows)

    def parameter(self, path: str) -> Any:
        """What params.yaml says under a dotted path.

        Raises:
            ReportError: if there is no such key.
        """
        place: Any = read_mapping(self.root / "params.yaml")
        for key in path.split("."):
            if not isinstance(place, dict) or key not in place:
                raise ReportError(f"params.yaml has no {path}: nothing is called {key!r}")
            place = place[key]
        return place


def _read(path: Path) -> pd.DataFrame:
    try:
        rows = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: {error}") from error
    if "estimator" in rows:
        rows["estimator"] = rows["estimator"].replace(reference.ESTIMATORS)
    texts = rows.select_dtypes(exclude="number").columns
    return rows.fillna(dict.fromkeys(texts, ""))


def _effort(folder: Path) -> pd.DataFrame:
    """What every search tried, as its results have it."""
    rows = []
    for path in sorted(folder.glob("*.csv")):
        problem, _, search = path.stem.partition("-")
        results = _read(path)
        conditions = [name for name in _CONDITIONS if name in results]
        for variant, own in results.groupby("variant"):
            sizes = own.groupby(conditions).size()
            swept = [name for name in own.columns.difference(_NOT_SWEPT) if own[name].nunique() > 1]
            told = ", ".join(f"`{name}`" for name in swept)
            counts = (len(sizes), sizes.max(), sizes.min(), own["seeds"].min())
            rows.append((problem, search, variant, told, *counts))
    return pd.DataFrame(rows, columns=_EFFORT_COLUMNS)


def _summary(rows: pd.DataFrame, sources: Sources, folder: str) -> pd.DataFrame:
    """One row per setting, the comparison with the paper beside it."""
    conditions = read_conditions(sources.root / FOLDERS[folder] / "conditions.csv")
    conditions["estimator"] = conditions["estimator"].replace(reference.ESTIMATORS)
    compared = sources.view(f"{folder}/against_published".strip("/"))
    rows = rows[rows["metric"] != "published_mean"]
    wide = rows.pivot(index=GROUP, columns="metric", values=["value", "low", "high"])
    ends = {"value": "", "low": "_low", "high": "_high"}
    kinds, metrics = (wide.columns.get_level_values(level) for level in (0, 1))
    wide.columns = metrics + kinds.map(ends)
    wide = wide.join(rows.groupby(GROUP)["seeds"].max())
    wide = with_conditions(wide.reset_index(), conditions)
    given = wide[GROUP].merge(conditions, how="left", on=GROUP).set_axis(wide.index)
    told = {
        f"setting_{key}": _numbers_if_all_are(given[key].replace("", np.nan))
        for key in given.columns.difference(GROUP)
    }
    wide = pd.concat([wide, pd.DataFrame(told)], axis=1)
    compared = compared.drop(columns=["seeds", "label", "order"])
    compared = compared.assign(study="main", variant="published")
    for name in ("ours_mean", "ours_standard_error", "z", "within_3_se"):
        masked = name.replace("ours", "ours_masked") if "ours" in name else f"masked_{name}"
        whole = compared[name]
        if masked in compared:
            whole = compared[masked].where(compared["masked"] > 0, whole)
        compared[f"{name}_as_published"] = whole
    both = wide.merge(compared, how="left", on=[*reference.KEY, "study", "variant"])
    return _with_seconds(both.copy(), sources, folder)  # in one piece


def _with_seconds(rows: pd.DataFrame, sources: Sources, folder: str) -> pd.DataFrame:
    """The CPU seconds of a run of each setting, NaN where nobody measured them."""
    name, _, table = SECONDS.rpartition("/")
    if folder or not (sources.root / FOLDERS[name] / f"{table}.csv").is_file():
        return rows.assign(cpu_seconds=np.nan)
    measured = sources.view(SECONDS)[[*GROUP, "cpu_seconds"]]
    return rows.merge(measured, how="left", on=GROUP, validate="many_to_one")


def _numbers_if_all_are(column: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except ValueError:
        return column.fillna("")


def _directions(rows: pd.DataFrame, sources: Sources, _: str) -> pd.DataFrame:
    """Directions of estimates, the drift of the published runs beside them where there is one."""
    known = [
        _read(path).assign(problem=path.stem.removesuffix("_drift"))
        for path in sorted((sources.root / FOLDERS["reference"]).glob("*_drift.csv"))
    ]
    if not known:
        return rows.assign(published_drift=float("nan"))
    published = pd.concat(known, ignore_index=True).rename(columns={"drift": "published_drift"})
    keys = ["problem", "estimator", "group"]
    return rows.merge(published[[*keys, "published_drift"]], how="left", on=keys)


#: Tables that are quoted together with others, and how these are joined.
_BESIDE: dict[str, Callable[[pd.DataFrame, Sources, str], pd.DataFrame]] = {
    "summary": _summary,
    "model_knowledge": _with_seconds,
    "directions": _directions,
}


def _labelled(rows: pd.DataFrame) -> pd.DataFrame:
    if "estimator" not in rows:
        return rows
    variant = rows["variant"] if "variant" in rows else pd.Series("published", index=rows.index)
    pairs = list(zip(rows["estimator"], variant, strict=True))
    ordered = product(style.estimator_order(rows["estimator"]), style.VARIANTS)
    known = {pair: place for place, pair in enumerate(ordered)}
    label = [style.label(*pair) if pair in known else pair[0] for pair in pairs]
    return rows.assign(label=label, order=[known.get(pair, len(known)) for pair in pairs])
