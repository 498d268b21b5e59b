"""One HTML page of the results for a colleague: `python -m pipeline.report [--profile NAME]`.

Reads:  results, figures, params.yaml and dvc.lock of the project, or of .work/profiles/<name>; the
        captions in README.md and docs; requirements*, pyproject.toml, Git.
Writes: report/bilevelrl-report.html, report/tables/*.tex, report/figures/*.pdf; of a profile the
        same in report/profiles/<name>.

No stage of DVC: the page also says who rendered it. See `bilevelrl.reporting.page`.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.core.problem import ProblemBlock
from bilevelrl.core.settings import flat
from bilevelrl.core.validation import ConfigError
from bilevelrl.evaluation.conditions import study_named
from bilevelrl.problems import registry
from bilevelrl.reporting.page import latex, machine, origin
from bilevelrl.reporting.page.assemble import Drawn, sections
from bilevelrl.reporting.page.facts import CellSetting, Facts, ProblemFacts
from bilevelrl.reporting.page.render import rendered
from bilevelrl.reporting.page.results import read_results
from bilevelrl.runs.params import GridItem, Params, read_params
from pipeline.installation import LOCKS, pins
from pipeline.stage import run_stage

#: Name of the page; as an attachment it says what it is.
PAGE = "bilevelrl-report"


def facts_of(params: Params) -> Facts:
    """What the page says of params.yaml."""
    kinds = [item.kind for item in params.grid_problems.values()]
    return Facts(
        {
            name: _problem(name, params.block(name), alone=kinds.count(item.kind) == 1)
            for name, item in params.grid_problems.items()
        },
        tuple(cell for item in params.grid.values() for cell in _cells(params, item)),
        params.evaluate.confidence,
        params.evaluate.final_fraction,
        params.evaluate.stuck_radius,
    )


def _problem(name: str, block: ProblemBlock, *, alone: bool) -> ProblemFacts:
    # "FourRooms: a leader makes ...", which all problems of a kind share.
    about = sys.modules[registry.part(block.kind, "settings").__package__].__doc__ or ""
    title = about.partition(":")[0].removeprefix("The ") if alone else name.replace("_", " ")
    shared = {"constants": block.constants, "training": block.training, "seeds": block.seeds}
    return ProblemFacts(
        title[:1].upper() + title[1:],
        " ".join(about.split()),
        block.reported_return,
        tuple(block.search.temperatures),
        {
            f"{part}.{key}": value
            for part, values in shared.items()
            for key, value in values.model_dump(exclude_none=True).items()
        },
    )


def _cells(params: Params, item: GridItem) -> Iterator[CellSetting]:
    block = params.block(item.problem)
    for where, setting in block.settings(item.problem, item.estimator):
        conditions = setting.conditions(block.shared())
        yield CellSetting(
            item.problem,
            item.estimator,
            setting.variant,
            where.rpartition(".")[2],
            study_named({key: str(value) for key, value in conditions.items()}, setting.roles),
            setting.budget,
            flat(setting.model_dump(exclude={"variant", "study"}, exclude_none=True)),
        )


def main(root: Path, profile: str = "") -> None:
    """Write the page and what lies beside it for the project in `root`.

    Raises:
        ConfigError: if there are no results of the project or of its profile.
    """
    folder = root / ".work" / "profiles" / profile if profile else root
    target = root / "report" / "profiles" / profile if profile else root / "report"
    remedy = f"make repro PROFILE={profile}" if profile else "make repro"
    if not (folder / "results" / "summary.csv").is_file():
        raise ConfigError(f"{folder / 'results' / 'summary.csv'} is missing: run `{remedy}` first")
    facts = facts_of(read_params(folder / "params.yaml"))
    kinds = {name: known.reported_return for name, known in facts.problems.items()}
    results = read_results(folder / "results", kinds)
    verdict, told = origin.verdict(folder, remedy), tuple(origin.commits(root, profile))
    locked = {
        name: pinned
        for lock in LOCKS
        for name, pinned, _ in pins((root / lock).read_text(encoding="utf-8"))
    }
    versions = machine.packages(root / "pyproject.toml", locked)
    beside = copy_figures(folder / "figures" / "pdf", target / "figures", remedy)
    about = origin.section(verdict, told, versions, beside)
    parts = sections(facts, results, Drawn(folder / "figures", root), about)
    shutil.rmtree(target / "tables", ignore_errors=True)
    tables = [table for part in parts for table in part.all_tables()]
    latex.write_tables(target / "tables", tables, folder / "results" / "tables")
    title = f"bilevelrl: results of profile {profile}" if profile else "bilevelrl: results"
    page = target / (f"{PAGE}-{profile}.html" if profile else f"{PAGE}.html")
    write_atomically(page, rendered(title, verdict, told, parts).encode())
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB; LaTeX tables in {target / 'tables'}")
    print(*beside, verdict.text, sep="\n")


def copy_figures(drawn: Path, target: Path, remedy: str) -> list[str]:
    """Copy every PDF figure, as `<folder>-<name>.pdf`; a sentence that says so, or what to run."""
    shutil.rmtree(target, ignore_errors=True)
    found = sorted(drawn.glob("*/*.pdf"))
    for path in found:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / f"{path.parent.name}-{path.name}")
    if not found:
        return [f"There are no PDF figures, which Git does not track: `{remedy}` draws them."]
    return [f"Beside this page lie its tables as LaTeX and {len(found)} figures as PDF."]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="", help="a file in profiles/, without .yaml")
    arguments = parser.parse_args()
    run_stage(lambda: main(Path(), arguments.profile))
