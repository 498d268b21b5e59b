"""DVC stage `figures`: draw what `evaluate` computed.

Reads:  data/evaluate, results/{summary,gradients,against_published}.csv, reference; of games with
        results also data/environments/<problem>/{landscape,simulations,returns,designs,
        random_search}.csv, results/{directions,followers,information_errors}.csv; params.yaml
        (environments, evaluate, leaders, problems).
Writes: figures/png/<name>.png and figures/pdf/<name>.pdf of every name that
        `figures.gallery.NAMES` lists for a problem with results, the same with a suffix for further
        temperatures and budgets, and of `figures.decentralised`; results/tables/*.md and *.tex.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.atomic_files import write_atomically
from bilevelrl.config import Params, read_params
from bilevelrl.evaluation.as_published import AS_PUBLISHED_COLUMNS
from bilevelrl.evaluation.conditions import spread_study, with_conditions
from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS
from bilevelrl.evaluation.reference import published_means, read_references
from bilevelrl.evaluation.trajectories import TRAJECTORY_COLUMNS
from bilevelrl.figures import decentralised, game_tables, style, tables
from bilevelrl.figures.cartpole_gallery import cartpole_gallery
from bilevelrl.figures.four_rooms_gallery import FourRoomsTables, four_rooms_gallery
from bilevelrl.figures.gallery import Results, at
from bilevelrl.figures.game_gallery import GameTables, LQRTables, lqr_gallery, toy_gallery
from bilevelrl.figures.thermal_gallery import ThermalTables, thermal_gallery
from bilevelrl.penalty_maps import MAP_COLUMNS
from bilevelrl.problems.four_rooms import MAP
from bilevelrl.records import read_csv, read_parquet, setting_dict
from pipeline.stage import run_stage

Figures = Iterator[tuple[str, Figure]]


def main(params: Params, root: Path = Path()) -> None:
    """Draw the figures and write the tables of the project in `root`."""
    results, evaluated = root / "results", root / "data" / "evaluate"
    # The default spread is a condition of FourRooms and means nothing elsewhere.
    spread = params.leaders.four_rooms.initial_spread
    summary = with_conditions(pd.read_csv(results / "summary.csv"), spread)
    curves = read_parquet(evaluated / "learning_curves.parquet", LEARNING_CURVE_COLUMNS)
    alike = read_parquet(evaluated / "as_published.parquet", AS_PUBLISHED_COLUMNS)
    masked = alike[alike["masked_mean"].notna()]
    gradients = pd.read_csv(results / "gradients.csv")
    comparison = pd.read_csv(results / "against_published.csv")
    for problem in [known for known in _GALLERIES if known in set(summary["problem"])]:
        published = read_references(root / "reference", [problem])
        own = Results(
            problem,
            _reported(at(summary, problem=problem), params),
            _reported(at(curves, problem=problem, study="main"), params),
            at(gradients, problem=problem),
            published,
            at(masked, problem=problem),
            params.environments.of(problem).temperatures,
        )
        for name, figure in _GALLERIES[problem](params, root, own):
            style.save(figure, root / "figures", name)
        _write_tables(results / "tables", own, at(comparison, problem=problem))
    drawn = with_conditions(curves.drop(columns=["study", "temperature", "budget"]))
    for name, figure in {
        "information_levels": decentralised.information_levels(_reported(summary, params)),
        "follower_accuracy": decentralised.follower_accuracy(_reported(summary, params)),
        "total_samples": decentralised.total_samples(_reported(drawn, params)),
        "information_errors": decentralised.information_errors(
            pd.read_csv(results / "information_errors.csv", keep_default_na=False)
        ),
        "follower_learning": decentralised.follower_learning(
            pd.read_csv(results / "followers.csv")
        ),
    }.items():
        style.save(figure, root / "figures", name)


def _reported(table: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Rows of one problem whose J is the kind of return that its block of `leaders` reports."""
    kinds = table["setting"].map(lambda setting: setting_dict(setting).get("return"))
    reported = table["problem"].map(lambda name: getattr(params.leaders.of(name), "returns", None))
    return table[(kinds == reported) | kinds.isna()]


def _write_tables(folder: Path, results: Results, comparison: pd.DataFrame) -> None:
    main = results.summary["study"] == "main"
    prefix = "" if results.problem == "four_rooms" else f"{results.problem}_"
    for name, table in {
        "results": tables.results_table(results.summary[main]),
        "results_mean": tables.means_table(results.summary[main]),
        "studies": tables.results_table(results.summary[~main]),
        "against_published": tables.against_published_table(comparison),
    }.items():
        stem = folder / f"{prefix}{name}"
        write_atomically(stem.with_suffix(".md"), tables.to_markdown(table).encode())
        write_atomically(stem.with_suffix(".tex"), tables.to_latex(table).encode())


def _four_rooms(params: Params, root: Path, results: Results) -> Figures:
    del params
    further = FourRoomsTables(
        spread=spread_study(results.summary),
        maps=read_parquet(root / "data" / "evaluate" / "penalty_maps.parquet", MAP_COLUMNS),
        published_means=published_means(results.published),
        marks={m: (r, line.index(m)) for r, line in enumerate(MAP) for m in "SG+" if m in line},
    )
    return four_rooms_gallery(results, further)


def _toy(params: Params, root: Path, results: Results) -> Figures:
    columns = game_tables.TOY_LANDSCAPE_COLUMNS
    return toy_gallery(results, _game_tables(params, root, results, columns))


def _lqr(params: Params, root: Path, results: Results) -> Figures:
    folder = root / "data" / "environments" / results.problem
    constants = params.problems.of(results.problem)
    further = LQRTables(
        simulations=read_csv(folder / "simulations.csv", game_tables.SIMULATION_COLUMNS),
        returns=read_csv(folder / "returns.csv", game_tables.RETURN_COLUMNS),
        target={
            f"x{number}": place
            for number, place in enumerate(
                zip(constants.target, constants.target_scale, strict=True), start=1
            )
        },
    )
    columns = game_tables.LQR_LANDSCAPE_COLUMNS
    return lqr_gallery(results, _game_tables(params, root, results, columns), further)


def _thermal(params: Params, root: Path, results: Results) -> Figures:
    folder, reference = root / "data" / "environments" / results.problem, root / "reference"
    drift, histogram = (
        reference / f"{results.problem}_{name}.csv" for name in ("drift", "histogram")
    )
    further = ThermalTables(
        designs=read_csv(folder / "designs.csv", game_tables.DESIGN_COLUMNS),
        random_search=read_csv(folder / "random_search.csv", game_tables.RANDOM_DESIGN_COLUMNS),
        trajectories=_trajectories(params, root, results),
        directions=at(pd.read_csv(root / "results" / "directions.csv"), problem=results.problem),
        drift=read_csv(drift, game_tables.DRIFT_COLUMNS),
        histogram=read_csv(histogram, game_tables.HISTOGRAM_COLUMNS),
        thresholds=params.evaluate.return_thresholds.get(results.problem, ()),
    )
    return thermal_gallery(results, further)


def _cartpole(params: Params, root: Path, results: Results) -> Figures:
    return cartpole_gallery(results, _trajectories(params, root, results))


def _trajectories(params: Params, root: Path, results: Results) -> pd.DataFrame:
    path = root / "data" / "evaluate" / "trajectories.parquet"
    own = at(read_parquet(path, TRAJECTORY_COLUMNS), problem=results.problem)
    return with_conditions(_reported(own, params))


def _game_tables(
    params: Params, root: Path, results: Results, columns: tuple[str, ...]
) -> GameTables:
    data, problem = root / "data", results.problem
    return GameTables(
        landscape=read_csv(data / "environments" / problem / "landscape.csv", columns),
        trajectories=_trajectories(params, root, results),
        returns=params.leaders.of(problem).returns,
    )


#: Who draws a problem, in the order in which they are drawn.
_GALLERIES: Mapping[str, Callable[[Params, Path, Results], Figures]] = MappingProxyType(
    {
        "four_rooms": _four_rooms,
        "discrete_toy_r1": _toy,
        "discrete_toy_r2": _toy,
        "bilevel_lqr": _lqr,
        "thermal_control": _thermal,
        "guided_cartpole": _cartpole,
    }
)


if __name__ == "__main__":
    run_stage(lambda: main(read_params()))
