"""DVC stage `evaluate`: statistics over seeds, and every comparison that a figure or table shows.

Reads:  data/grid.json, and of the cells it lists only: data/leaders, data/environments,
        data/gradients, data/followers; reference; params.yaml (evaluate).
Writes: results/{summary,conditions,baselines,curves,against_published,curve_agreement,
        published_updates,exact_ascent,improvement,model_knowledge,gradients,directions,information_errors,followers,
        failed_runs}.csv, results/plots/, results/metrics/<problem>/<setting>.json,
        data/evaluate/learning_curves.parquet; for the figures of each problem its rows of
        {summary,conditions,gradients,against_published,directions}.csv and
        {learning_curves,as_published,trajectories}.parquet in data/evaluate/<problem>/, and there
        all of a kind that cells have in data/leaders/<problem>/<estimator>/outcomes.
"""

import shutil
from pathlib import Path

from bilevelrl.evaluation import agreement, inputs, reference
from bilevelrl.evaluation.as_published import AS_PUBLISHED_COLUMNS, curves_as_published
from bilevelrl.evaluation.conditions import conditions_of, stacked, with_conditions
from bilevelrl.evaluation.improvement import improvement_table
from bilevelrl.evaluation.learning_curves import (
    LEARNING_CURVE_COLUMNS,
    TRAJECTORY_COLUMNS,
    learning_curves,
    main_trajectories,
    plotted,
    tracked_curves,
)
from bilevelrl.evaluation.model_knowledge import model_knowledge
from bilevelrl.evaluation.run_scores import run_scores, start_table
from bilevelrl.evaluation.summary import failed_runs, headline_metrics, summary_table
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.records import START_COLUMNS
from bilevelrl.runs.table_files import concatenate, read_csv, write_csv, write_json, write_parquet
from pipeline.stage import run_stage


def main(params: Params, root: Path = Path()) -> None:
    """Evaluate the grid of the project in `root`."""
    data, results = root / "data", root / "results"
    grid = inputs.read_grid(data / "grid.json")
    problems = inputs.problems_of(grid)
    baselines = inputs.read_baselines(data / "environments", grid)
    published = reference.read_references(root / "reference", problems)
    known, scores, curves, places, points, failed, same_way = [], [], [], [], [], [], []
    for cell in inputs.read_cells(grid, data / "leaders"):
        known.append(conditions_of(cell.runs))
        own = with_conditions(cell.curves, known[-1])
        failed.append(failed_runs(cell.runs))
        scores.append(run_scores(own, baselines, params.evaluate, cell.coordinates))
        curves.append(learning_curves(own, params.evaluate))
        places.append(main_trajectories(cell, known[-1]))
        points.append(agreement.point_agreement(own, published, params.evaluate.published_updates))
        same_way.append(curves_as_published(own, published))
    conditions, scored = stacked(known), concatenate(scores)
    drawn, ours = concatenate(curves), concatenate(same_way)
    means = reference.published_means(published)
    plain = summary_table(scored, means, params.evaluate)
    table = with_conditions(plain, conditions)
    tracked = tracked_curves(drawn, baselines)
    starts = concatenate(
        read_csv(data / "environments" / problem / "starts.csv", START_COLUMNS)
        for problem in problems
    )
    texts = {
        "conditions": conditions,
        "baselines": inputs.read_facts(data / "environments", grid),
        "summary": plain,
        "failed_runs": concatenate(failed),
        "curves": tracked,
        "against_published": agreement.against_published(table, published, ours),
        "curve_agreement": agreement.curve_agreement(ours, published),
        "published_updates": concatenate(points),
        "exact_ascent": start_table(starts, baselines, params.evaluate),
        "followers": inputs.read_learning(data / "followers", grid),
        "improvement": improvement_table(scored, params.evaluate),
        "model_knowledge": model_knowledge(table, params.evaluate),
        "gradients": inputs.read_gradients(data / "gradients", grid),
        "directions": inputs.read_directions(data / "gradients", grid),
        "information_errors": inputs.read_information_errors(data / "gradients", grid),
    }
    for name, rows in texts.items():
        write_csv(results / f"{name}.csv", rows)
    for folder in ("metrics", "plots"):  # what a larger grid left there
        shutil.rmtree(results / folder, ignore_errors=True)
    for name, metrics in headline_metrics(table, baselines).items():
        write_json(results / "metrics" / f"{name}.json", metrics)
    for problem, rows in tracked.groupby("problem"):
        budgets = rows["budget"][rows["budget"] > 0]
        for size, budget in (("smallest", budgets.min()), ("largest", budgets.max())):
            if len(budgets):
                path = results / "plots" / f"{problem}_{size}_budget.csv"
                write_csv(path, plotted(rows, budget))
    write_parquet(data / "evaluate" / "learning_curves.parquet", drawn, LEARNING_CURVE_COLUMNS)
    typed = {
        "learning_curves": (drawn, LEARNING_CURVE_COLUMNS),
        "as_published": (ours, AS_PUBLISHED_COLUMNS),
        "trajectories": (concatenate(places), TRAJECTORY_COLUMNS),
    }
    for name, found in inputs.read_outcomes(grid, data / "leaders").items():
        typed[name] = found, dict(found.dtypes.astype(str))
    for problem in problems:
        place = data / "evaluate" / problem
        for name in ("summary", "conditions", "gradients", "against_published", "directions"):
            rows = texts[name]
            write_csv(place / f"{name}.csv", rows[rows["problem"] == problem])
        for name, (rows, columns) in typed.items():
            write_parquet(place / f"{name}.parquet", rows[rows["problem"] == problem], columns)


if __name__ == "__main__":
    run_stage(lambda: main(read_params()))
