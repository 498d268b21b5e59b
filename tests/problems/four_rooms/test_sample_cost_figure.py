"""The figure of transitions says by how much the leader that identifies needs fewer."""

import pandas as pd
from matplotlib.text import Text

from bilevelrl.figures import style
from bilevelrl.problems.four_rooms.sample_cost_figure import sample_cost

BEST = pd.DataFrame({"variant": ["published", "improved"], "best_known": [0.6, 0.5]})


def curve(estimator: str, variant: str, study: str, budget: int, reached: int) -> pd.DataFrame:
    """J of half of the best known one before the update `reached`, of nine tenths from it on."""
    best = BEST.set_index("variant")["best_known"][variant]
    updates = list(range(0, 50, 5))
    iqm = [best * (0.9 if update >= reached else 0.5) for update in updates]
    return pd.DataFrame(
        {"estimator": estimator, "variant": variant, "study": study, "budget": budget,
         "follower": "exact", "information": "actions", "update": updates,
         "env_steps": [budget * update for update in updates],
         "iqm": iqm, "low": iqm, "high": iqm}
    )  # fmt: skip


def texts(curves: pd.DataFrame) -> list[str]:
    return [text.get_text() for text in sample_cost(curves, BEST).findobj(Text)]  # type: ignore[attr-defined]


def test_an_arrow_says_how_many_times_as_many_transitions_the_first_other_one_takes() -> None:
    identified = curve("bc_hg", "improved", "identified", 100, 10)  # after 1,100 transitions
    first = curve("bc_hg", "published", "main", 1000, 32)  # 36,000: recorded at every fifth update
    later = curve("hpgd_mc", "published", "main", 1000, 40)
    drawn = texts(pd.concat([identified, later, first]))
    assert "80 %: 33 times the transitions" in drawn
    assert f"{style.label('bc_hg', 'improved')}, identified" in drawn


def test_there_is_no_arrow_to_nobody() -> None:
    identified = curve("bc_hg", "improved", "identified", 100, 10)
    never = curve("bc_hg", "published", "main", 1000, 99)
    assert not any("times" in text for text in texts(pd.concat([identified, never])))
    first = curve("bc_hg", "published", "main", 1000, 30)
    never = curve("bc_hg", "improved", "identified", 100, 99)
    assert not any("times" in text for text in texts(pd.concat([never, first])))
