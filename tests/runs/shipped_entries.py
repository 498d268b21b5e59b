"""Entries of the shipped files, and what is wrong with them."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from bilevelrl.core.problem import ProblemBlock
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.params import parse_params
from tests.runs.setting_checks import untraceable
from tests.runs.setting_sources import FILES, Content, changed, merged


@cache
def block_of(file: str, problem: str) -> ProblemBlock:
    """A problem's block, as a file has it."""
    return parse_params(merged(file), "params.yaml").block(problem)


Entries = dict[str, Content]


def estimators_of(content: Content) -> Iterator[tuple[str, str, Entries]]:
    for problem, block in content["problems"].items():
        for estimator, own in block.get("cells", {}).items():
            yield problem, estimator, own


def of_file(file: str, problem: str, estimator: str) -> Entries:
    """All entries of an estimator, as a file has them."""
    found: Entries = contents()[file]["problems"][problem]["cells"][estimator]
    return found


def faults_of(
    file: str, problem: str, estimator: str, name: str, change: Content | None = None
) -> list[str]:
    """Complaints about an entry, other values put in its place."""
    own = dict(of_file(file, problem, estimator))
    own[name] = changed(own[name], change or {})
    return [*untraceable(problem, estimator, name, own, block_of(file, problem), file)]


@cache
def contents() -> dict[str, Content]:
    return {file: merged(file) for file in FILES}


def is_refused(*arguments: Any) -> bool:
    try:
        return bool(faults_of(*arguments))
    except ConfigError:
        return True


def all_faults(file: str) -> list[str]:
    return [
        fault
        for problem, estimator, own in estimators_of(contents()[file])
        for name in own
        for fault in faults_of(file, problem, estimator, name)
    ]
