"""The cells of home batteries: what their names stand for, and that runs are their own."""

from typing import Any

import numpy as np
import pytest

from bilevelrl.core.cma_es import CMAES
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import group_key
from bilevelrl.core.validation import ConfigError
from bilevelrl.problems.home_battery.advantages import SarsaAdvantage
from bilevelrl.problems.home_battery.covariance import DirectOnly, HouseholdCovariance
from bilevelrl.problems.home_battery.identified import IdentifiedHousehold
from bilevelrl.problems.home_battery.learner import LearningHousehold
from bilevelrl.problems.home_battery.perturbed import PerturbedHousehold
from bilevelrl.problems.home_battery.planner import TruncatedPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.regressed import RegressedAdvantage
from tests.problems.home_battery.cases import BEST, BLOCK, FLAT, build, setting, trained

#: Estimators and entries of all that watches days.
WATCHING = [
    ("bc_hg", "published"), ("bc_hg", "corrected"), ("bc_hg", "improved"),
    ("bc_hg", "identified"), ("naive", "corrected"), ("perturbed", "corrected"),
    ("perturbed", "one_sided"),
]  # fmt: skip
#: Of them, those that see nothing of their houses but what these do.
BLIND = [each for each in WATCHING if each[0] != "perturbed" and each[1] != "published"]
FEW = {"num_updates": 3, "days_per_update": 4}


def way(theta: np.ndarray, built: Any) -> np.ndarray:
    share: np.ndarray = (built.game.optimal_return(theta) - FLAT) / (BEST - FLAT)
    return share


@pytest.mark.parametrize(
    ("estimator", "entry", "kind"),
    [
        ("bc_hg", "published", HouseholdCovariance),
        ("bc_hg", "corrected", HouseholdCovariance),
        ("bc_hg", "improved", HouseholdCovariance),
        ("bc_hg", "identified", IdentifiedHousehold),
        ("naive", "corrected", DirectOnly),
    ],
)
def test_names_stand_for_what_they_say(estimator: str, entry: str, kind: type) -> None:
    own = setting(estimator, entry, temperature=0.08, houses=4, days_per_update=10)
    found = build(estimator, [own] * 2).estimator
    assert type(found) is kind
    assert found.rollout.problem.num_houses == 4
    assert (found.rollout.num_days, found.rollout.env_steps) == (10, 1920)
    assert found.rollout.num_steps == BLOCK.constants.max_episode_steps
    np.testing.assert_array_equal(getattr(found, "temperature", [0.08, 0.08]), [0.08, 0.08])


def test_variants_of_bc_hg_differ_in_critic_and_baseline() -> None:
    published, corrected, improved = (
        build("bc_hg", [setting("bc_hg", each)]).estimator
        for each in ("published", "corrected", "improved")
    )
    assert type(published.advantage) is SarsaAdvantage
    assert published.advantage.information == "full"
    assert type(corrected.advantage) is type(improved.advantage) is RegressedAdvantage
    assert published.baseline is corrected.baseline is None
    own = setting("bc_hg", "improved", model={
        "kind": "centred", "forgetting_factor": 0.3, "baseline_forgetting_factor": 0.6,
    })  # fmt: skip
    made = build("bc_hg", [own]).estimator
    assert (made.advantage.forgetting_factor, made.baseline.forgetting_factor) == (0.3, 0.6)


@pytest.mark.parametrize("two_sided", [True, False])
def test_answers_of_a_perturbed_follower_share_the_transitions(two_sided: bool) -> None:
    own = setting("perturbed", two_sided=two_sided, num_updates=3, epsilon=0.2)
    found = build("perturbed", [own]).estimator
    assert type(found) is PerturbedHousehold
    assert found.two_sided == two_sided
    np.testing.assert_array_equal(found.epsilon, [0.2])
    run = trained("perturbed", [own], [0])
    spent = 48 * own.days_per_update * np.arange(3)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(run.curves["env_steps"][0], spent)


def test_constants_are_those_of_the_file() -> None:
    problem = build("exact", [setting("exact", tariff_weight=2.0)]).game.problem
    assert problem.tariff_weight == 2.0
    for name, value in BLOCK.constants.model_dump().items():
        if name not in ("max_episode_steps", "noise", "solar_power"):
            assert getattr(problem, name) == value
    own = BLOCK.constants
    expected = HomeBattery.of_houses(1, noise=own.noise, solar_power=own.solar_power).demand
    np.testing.assert_array_equal(problem.demand.net, expected.net)


def test_a_setting_says_which_j_it_is_of() -> None:
    assert setting("bc_hg", "improved").conditions(BLOCK.shared()) == {
        "follower": "exact", "information": "actions", "temperature": 0.05, "houses": 1,
        "leader": "prices", "tariff_weight": 0.5, "days_per_update": 64,
    }  # fmt: skip
    told = setting("bc_hg", "published").conditions(BLOCK.shared())
    assert told["information"] == "full"
    assert setting("bc_hg", "identified").conditions(BLOCK.shared())["model"] == "identified"


@pytest.mark.parametrize(
    ("estimator", "changes", "message"),
    [
        ("bc_hg", {"houses": 2}, r"houses = 2: search.houses has \[1, 4, 17\]"),
        ("perturbed", {"days_per_update": 5}, "days_per_update = 5 must be a multiple of 2"),
        (
            "perturbed",
            {"follower": {"kind": "soft_q", "start": "carry", "steps": 48}},
            "follower = soft_q does not go with perturbed",
        ),
        ("exact", {"leader": "network"}, "leader = network needs day_spread above 0"),
        ("exact", {"day_spread": 0.3}, r"day_spread = 0.3: search.day_spreads has \[0.2\]"),
        (
            "exact",
            {"day_spread": 0.2, "houses": 4},
            r"houses = 4: search.varying_houses has \[1, 17\]",
        ),
        ("naive", {"day_spread": 0.2}, "day_spread = 0.2 goes with exact, zero_order and"),
        (
            "bc_hg",
            {"day_spread": 0.2, "follower": {"kind": "soft_q", "start": "carry", "steps": 48}},
            "with houses that plan exactly",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    estimator: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^here: .*{message}"):
        BLOCK.check(setting(estimator, **changes), "here")


def test_the_step_falls_and_prices_stay_within_bounds() -> None:
    rule = build("exact", [setting("exact", step_size=0.1, step_size_ratio=0.02)]).rule
    theta, state = np.zeros((1, 24)), rule.start((1, 24))
    steps = []
    for _ in range(BLOCK.training.num_updates):
        after = np.minimum(rule.step(theta, np.ones((1, 24)), state), 0.5)
        steps.append((after - theta).max())
        theta = np.zeros((1, 24))
    assert steps[0] == pytest.approx(0.1)
    assert steps[-1] == pytest.approx(0.002)
    assert not rule.step(np.zeros((1, 24)), -np.ones((1, 24)), rule.start((1, 24))).any()
    assert rule.step(np.ones((1, 24)), np.ones((1, 24)), rule.start((1, 24))).max() == 1.0


def test_exact_ascent_reaches_the_best_known_tariff_and_identified_houses_do_too() -> None:
    run = trained("exact", [setting("exact")], [0])
    np.testing.assert_allclose(way(run.theta, build("exact", [setting("exact")])), 1.0, atol=1e-3)
    own = setting("bc_hg", "identified")
    found = trained("bc_hg", [own], [95_000])  # reported nowhere, and in no search
    assert way(found.theta, build("bc_hg", [own]))[0] > 0.995
    assert found.curves["env_steps"][0, -1] == 48 * (own.num_updates - 1)  # before the last


def test_the_shipped_leader_comes_98_percent_of_the_way() -> None:
    own = setting("bc_hg", "improved")
    run = trained("bc_hg", [own] * 2, [95_000, 95_001])
    assert (way(run.theta, build("bc_hg", [own] * 2)) > 0.98).all()


def test_a_black_box_evaluates_its_houses_within_the_prices_that_are_allowed() -> None:
    own = setting("cma_es", spread=0.5, population_size=20, num_updates=4, houses=4)
    built = build("cma_es", [own] * 2)
    assert isinstance(built.estimator, CMAES)
    assert built.estimator.game is built.game
    assert (built.estimator.bounds, built.estimator.population_size) == ((0.0, 1.0), 20)
    np.testing.assert_array_equal(built.estimator.spread, [0.5, 0.5])
    run = trained("cma_es", [own] * 2, [3, 4])
    assert run.theta.min() >= 0.0
    assert run.theta.max() <= 1.0
    assert (run.curves["env_steps"] == 0).all()


def test_a_black_box_nears_the_best_known_tariff() -> None:
    own = setting("cma_es", "corrected", num_updates=60)
    assert (way(trained("cma_es", [own], [95_000]).theta, build("cma_es", [own])) > 0.95).all()


def test_a_leader_without_the_indirect_term_never_moves() -> None:
    run = trained("naive", [setting("naive", **FEW)], [0])
    np.testing.assert_array_equal(run.theta, 0.30)


@pytest.mark.parametrize(
    ("estimator", "entry"), [*WATCHING, ("zero_order", "corrected"), ("cma_es", "corrected")]
)
def test_runs_are_their_own_and_repeat(estimator: str, entry: str) -> None:
    few = FEW if (estimator, entry) in WATCHING else {"num_updates": 3}
    other = {"spread": 0.2} if estimator == "cma_es" else {"step_size": 0.2}
    settings = [setting(estimator, entry, **few), setting(estimator, entry, **other, **few)]
    assert group_key(settings[0]) == group_key(settings[1])
    together = trained(estimator, settings, [3, 4])
    for place, (own, seed) in enumerate(zip(settings, [3, 4], strict=True)):
        alone = trained(estimator, [own], [seed])
        np.testing.assert_array_equal(alone.theta[0], together.theta[place])
        for name, curve in alone.curves.items():
            np.testing.assert_array_equal(curve[0], together.curves[name][place], err_msg=name)


class _Locked:
    """A response of which nothing may be asked but the days that are drawn from its policy."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy


@pytest.mark.parametrize(("estimator", "entry"), BLIND)
def test_leaders_that_see_what_is_done_see_nothing_else(
    estimator: str, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, streams = build(estimator, [setting(estimator, entry, **FEW)]), Streams([5])
    theta, memory = built.game.start(streams)
    answer = built.game.respond(theta, memory, streams)
    own, drawn, again = built.estimator, Streams([6]), Streams([6])
    seen = own.estimate(theta, answer, own.start(drawn), drawn)
    days = own.rollout.sample(answer.policy, Streams([6]))
    monkeypatch.setattr(type(own.rollout), "sample", lambda *_: days)
    blind = own.estimate(theta, _Locked(None), own.start(again), again)
    np.testing.assert_array_equal(seen.gradient, blind.gradient)


def test_houses_may_plan_a_day_or_learn() -> None:
    cut = setting("bc_hg", "truncated", **FEW)
    built = build("bc_hg", [cut])
    assert isinstance(built.game.follower, TruncatedPlanner)
    np.testing.assert_array_equal(built.game.follower.planned_days, [1])
    learner = {"kind": "soft_q", "start": "carry", "first_steps": 960, "steps": 96}
    own = setting("bc_hg", "soft_q", follower=learner, **FEW)
    household = build("bc_hg", [own]).game.follower
    assert isinstance(household, LearningHousehold)
    assert (household.first_steps, household.steps) == (960, 96)
    assert (household.pull, household.options.exponent) == (0.2, 0.6)
    told = own.conditions(BLOCK.shared())
    assert (told["follower"], told["start"], told["follower_steps"]) == ("soft_q", "carry", 96)
    run = trained("bc_hg", [own], [0])
    np.testing.assert_array_equal(run.curves["follower_steps"][0], [960, 1056, 1152])
    assert (run.curves["follower_value_gap"] > 0.0).all()
    assert (run.curves["follower_kl"] > 0.0).all()
    assert (run.curves["leader_return"] != run.curves["leader_return_optimal"]).all()
