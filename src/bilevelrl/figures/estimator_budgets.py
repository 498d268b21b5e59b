"""Which estimator for which budget: BC-HG, paid followers and differences of J, by problem."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bilevelrl.figures import style
from bilevelrl.figures.ticks import log_ticks, plain_log_ticks

#: Followed, paid for its answers, and neither: the estimators that are compared.
COMPARED = ("bc_hg", "perturbed", "zero_order")
_COLUMNS = 4


def compared_rungs(gradients: pd.DataFrame) -> pd.DataFrame:
    """Relative errors of the best rung of every estimator in `COMPARED`, by problem and budget.

    Columns problem, estimator, variant, rung, env_steps_per_update and error: the root of
    |bias|² + tr(cov), over |dJ/dθ|, the median over θ. The best rung errs least at its largest
    budget; what knows its critic exactly is none, nor is a one-sided quotient where its note says
    so. What costs transitions goes before what does not. What is estimated where nobody is paid is
    left out.

    Args:
        gradients: of columns `GRADIENT_COLUMNS`.
    """
    paid = gradients.loc[gradients["estimator"] == "perturbed", ["problem", "point"]]
    gradients = gradients.merge(paid.drop_duplicates())
    rows = gradients[gradients["estimator"].isin(COMPARED) & (gradients["critic"] != "exact")]
    rows = rows[~rows["note"].fillna("").astype(str).str.startswith("one-sided")]
    rows = rows.assign(error=rows["rmse"] / rows["exact_norm"])
    key = ["problem", "estimator", "variant", "rung", "env_steps_per_update"]
    errors = rows.groupby(key, sort=False)["error"].median().reset_index()
    last = errors[
        errors["env_steps_per_update"]
        == errors.groupby(["problem", "estimator"])["env_steps_per_update"].transform("max")
    ]
    best = last.loc[last.groupby(["problem", "estimator"], sort=False)["error"].idxmin()]
    return errors.merge(best[["problem", "estimator", "rung"]])


def estimator_budgets(gradients: pd.DataFrame) -> Figure:
    """Errors of one estimate against its transitions, a panel per problem with a paid follower.

    Of results/gradients.csv; a placeholder if there is none. Transitions are those of all answers
    that an estimate watches; answers are solved. Estimators without any are horizontal lines.
    """
    chosen = compared_rungs(gradients)
    if chosen.empty:
        return style.placeholder("Which estimator for which budget")
    problems = list(dict.fromkeys(chosen["problem"]))
    columns = min(_COLUMNS, len(problems))
    rows = -(-len(problems) // columns)
    with style.theme():
        figure, axes = style.new_figure(2.5 * columns, 2.4 * rows + 0.6, rows, columns)
        panels = [ax for row in axes for ax in row]
        for ax, problem in zip(panels, problems, strict=False):
            _draw(ax, chosen[chosen["problem"] == problem], problem)
        for ax in panels[len(problems) :]:
            ax.set_axis_off()
        for row in axes:
            row[0].set_ylabel("error of an estimate / |dJ/dθ|")
        for ax in panels[max(0, len(problems) - columns) : len(problems)]:
            ax.set_xlabel("transitions per estimate")
        style.legend_below(figure, style.estimator_handles(chosen, marked=style.VARIANTS), 3)
    return figure


def _draw(ax: Axes, rows: pd.DataFrame, problem: str) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    for estimator, variant, line in style.groups(rows):
        look = style.line_style(estimator, variant)
        ordered = line.sort_values("env_steps_per_update")
        if (ordered["env_steps_per_update"] == 0).all():
            ax.axhline(ordered["error"].iloc[0], color=look["color"], linestyle=look["linestyle"])
        else:
            ax.plot(ordered["env_steps_per_update"], ordered["error"], **look)
    # Nothing of it: as wrong as an estimate of zero.
    ax.axhline(1.0, color="0.6", linewidth=0.8, zorder=1)
    budgets = sorted(set(rows["env_steps_per_update"]) - {0})
    if len(budgets) > 1:
        log_ticks(ax.xaxis)
    else:
        ax.set_xticks(budgets, [f"{each:,}" for each in budgets])
        ax.minorticks_off()
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, 0.5), max(high, 2.0))
    plain_log_ticks(ax)
    ax.set_title(problem)
