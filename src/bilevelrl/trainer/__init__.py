"""Training a leader in PyTorch through followers that learn, in the style of Stable-Baselines3."""

from bilevelrl.hypergradients.coefficients import Agents
from bilevelrl.trainer.acting import FollowerView
from bilevelrl.trainer.beliefs import FeatureBelief
from bilevelrl.trainer.callbacks import Callback, Checkpoints
from bilevelrl.trainer.designing import WithIncentives
from bilevelrl.trainer.functions import Network, RandomFeatures, Table
from bilevelrl.trainer.trainer import BilevelTrainer

__all__ = [
    "Agents",
    "BilevelTrainer",
    "Callback",
    "Checkpoints",
    "FeatureBelief",
    "FollowerView",
    "Network",
    "RandomFeatures",
    "Table",
    "WithIncentives",
]
