"""What the notebooks show of the results of one problem."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from bilevelrl.evaluation.conditions import GROUP, read_conditions, with_conditions
from bilevelrl.figures import style
from bilevelrl.figures.tables import to_markdown
from bilevelrl.reporting.explore import Shown
from bilevelrl.reporting.formats import NOTHING, number
from bilevelrl.runs.yaml_files import read_mapping


@dataclass(frozen=True)
class Results:
    """What `dvc repro` left of one problem; what is not there is said, not raised.

    As the last line of a cell it shows what there is. Methods return `Shown`.

    Attributes:
        problem: as in params.yaml.
        root: folder of params.yaml, `results` and `figures`.
    """

    problem: str
    root: Path

    @classmethod
    def of(cls, problem: str, grid: str = ".") -> Self:
        """The results of `grid`, a folder of the project that this process works in.

        `grid` is the project itself, or ".work/profiles/<name>" after `make repro PROFILE=<name>`.

        Raises:
            FileNotFoundError: neither the working directory nor a folder above it is a project.
        """
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / "dvc.yaml").exists():
                return cls(problem, folder / grid)
        raise FileNotFoundError(f"{here}: neither it nor a folder above it has a dvc.yaml")

    def _repr_markdown_(self) -> str:
        """Estimators with their settings and seeds, and those of params.yaml that are missing."""
        counts = self._summary().groupby("estimator").agg({"setting": "nunique", "seeds": "max"})
        rows = [
            {
                "estimator": style.label(name),
                "settings": f"{counts['setting'][name]}",
                "seeds": f"{counts['seeds'][name]:g}",
            }
            for name in style.estimator_order(counts.index)
        ]
        known = read_mapping(self.root / "params.yaml")["problems"].get(self.problem, {})
        without = style.estimator_order(set(known.get("cells", ())) - set(counts.index))
        missing = ", ".join(map(style.label, without)) or "none"
        found = to_markdown(pd.DataFrame(rows))
        return f"`{self.problem}` in `{self.root}`\n\n{found}\nWithout results: {missing}.\n"

    def figure(self, name: str) -> Shown:
        """figures/png/<problem>/<name>.png."""
        path = self.root / "figures" / "png" / self.problem / f"{name}.png"
        if not path.exists():
            return Shown(text=f"Not in this grid: the figure `{name}` of `{self.problem}`.")
        return Shown(png=path.read_bytes())

    def table(self, name: str) -> Shown:
        """results/tables/<problem>/<name>.md."""
        path = self.root / "results" / "tables" / self.problem / f"{name}.md"
        if not path.exists():
            return Shown(text=f"Not in this grid: the table `{name}` of `{self.problem}`.")
        return Shown(text=path.read_text(encoding="utf-8"))

    def constants(self) -> Shown:
        """The numbers among the problem's constants in params.yaml."""
        constants = read_mapping(self.root / "params.yaml")["problems"][self.problem]["constants"]
        rows = [
            {"constant": f"`{name}`", "value": number(value)}
            for name, value in constants.items()
            if isinstance(value, int | float)
        ]
        return Shown(text=to_markdown(pd.DataFrame(rows)))

    def best_known(self) -> Shown:
        """The best known J by variant, temperature and case; variants may differ in what J is."""
        rows = self._summary()
        rows = rows[rows["metric"] == "best_known"]
        found = rows.drop_duplicates(["variant", "temperature", "case"])
        several = found["case"].nunique() > 1
        shown = [
            {
                "variant": row["variant"],
                "temperature": number(row["temperature"]),
                **({"case": row["case"]} if several else {}),
                "best known J": number(row["value"], ".3f"),
            }
            for row in found.sort_values(["temperature", "case", "variant"]).to_dict("records")
        ]
        return Shown(text=to_markdown(pd.DataFrame(shown)))

    def metric(self, name: str, study: str = "main", digits: int = 3) -> Shown:
        """A metric of results/summary.csv with its interval, a row per setting of a study."""
        rows = self._summary()
        rows = rows[(rows["metric"] == name) & (rows["study"] == study)]
        shown = [
            {
                "estimator": style.label(estimator, variant),
                "conditions": str(row["special"]) or NOTHING,
                "transitions": number(row["budget"]) if row["budget"] else NOTHING,
                name: _interval(row["value"], row["low"], row["high"], f".{digits}f"),
                "seeds": f"{row['seeds']:g}",
            }
            for estimator, variant, own in style.groups(rows)
            for _, row in own.sort_values(["budget", "special"]).iterrows()
        ]
        return Shown(text=_told(shown))

    def differences(self, study: str = "main") -> Shown:
        """Mean final J of one estimator less another's, and what the interval lets one say."""
        rows = self._conditioned("improvement").sort_values("budget", kind="stable")
        shown = [
            {
                "difference": f"{style.label(row['ours'], row['variant'])} less "
                f"{style.label(row['theirs'], row['variant'])}",
                "conditions": row["special"] or NOTHING,
                "transitions": number(row["budget"]) if row["budget"] else NOTHING,
                "of means [interval]": _interval(*_ends(row), ".3f"),
                "in words": _verdict(*_ends(row)[1:]),
            }
            for row in rows[rows["study"] == study].to_dict("records")
        ]
        return Shown(text=_told(shown))

    def gradients(self, point: str | None = None, budget: int | None = None) -> Shown:
        """Errors of single estimates at one θ, in units of |dJ/dθ|.

        Where the study has no such `point`, its last one is shown; where it has no such `budget`
        of transitions, the largest one. The heading says which.
        """
        rows = self._read("gradients")
        if rows.empty:
            return Shown(text=f"Not in this grid: estimates of `{self.problem}` at fixed θ.")
        points = list(rows["point"].unique())
        rows = rows[rows["point"] == (point if point in points else points[-1])]
        budgets = rows["env_steps_per_update"]
        rows = rows[budgets == (budget if budget in set(budgets) else budgets.max())]
        shown = [
            _errors(style.label(estimator, variant), row)
            for estimator, variant, own in style.groups(rows)
            for row in own.fillna({"note": ""}).to_dict("records")
        ]
        first = rows.iloc[0]
        head = f"θ: {first['point']}; {number(first['env_steps_per_update'])} transitions"
        return Shown(text=f"{head} per estimate.\n\n{to_markdown(pd.DataFrame(shown))}")

    def _read(self, name: str) -> pd.DataFrame:
        """Rows of results/<name>.csv that are the problem's, and none where there is no file."""
        path = self.root / "results" / f"{name}.csv"
        if not path.exists():
            return pd.DataFrame(columns=_COLUMNS[name])
        table = pd.read_csv(path)
        return table[table["problem"] == self.problem]

    def _summary(self) -> pd.DataFrame:
        return self._conditioned("summary")

    def _conditioned(self, name: str) -> pd.DataFrame:
        """`_read` with the columns of `evaluation.conditions.with_conditions`."""
        table, path = self._read(name), self.root / "results" / "conditions.csv"
        if table.empty:
            return table.assign(study="", special="", budget=0, temperature=0.0)
        named = table if "estimator" in table else table.assign(estimator=table["ours"])
        return with_conditions(named, read_conditions(path))


_COLUMNS = {
    "summary": [*GROUP, "metric", "value", "low", "high", "seeds"],
    "improvement": ["problem", "variant", "setting", "ours", "theirs"],
    "gradients": ["problem", "point", "estimator", "variant", "note", "env_steps_per_update"],
}


def _told(rows: list[dict[str, str]]) -> str:
    """A table without the conditions that all of its rows share."""
    table = pd.DataFrame(rows)
    shared = "conditions" in table and table["conditions"].nunique() == 1
    return to_markdown(table.drop(columns="conditions") if shared else table)


def _errors(label: str, row: dict[Any, Any]) -> dict[str, str]:
    norm = row["exact_norm"]
    bias, error = (number(row[name] / norm, "2s") for name in ("bias", "bias_error"))
    return {
        "estimator": f"{label}, {row['note']}" if row["note"] else label,
        "length of dJ/dθ": number(norm, "3s"),
        "standard deviation": number(row["standard_deviation"] / norm, "2s"),
        "bias": f"{bias} ± {error}",
        "mean cosine": number(row["cosine_mean"], ".2f"),
    }


def _ends(row: dict[Any, Any]) -> tuple[float, float, float]:
    low, high = (row[f"mean_difference_{end}"] for end in ("low", "high"))
    return row["mean_difference"], low, high


def _interval(value: float, low: float, high: float, spec: str) -> str:
    if pd.isna(low) or pd.isna(high):
        return number(value, spec)
    return f"{number(value, spec)} [{number(low, spec)}, {number(high, spec)}]"


def _verdict(low: float, high: float) -> str:
    if pd.isna(low) or pd.isna(high):
        return "no interval"
    return "ends above" if low > 0.0 else "ends below" if high < 0.0 else "not told apart"
