"""Training a leader in PyTorch through followers that learn, in the style of Stable-Baselines3."""

from bilevelrl.trainer.acting import FollowerView
from bilevelrl.trainer.callbacks import Callback, Checkpoints
from bilevelrl.trainer.designing import WithIncentives
from bilevelrl.trainer.functions import Network, RandomFeatures, Table
from bilevelrl.trainer.trainer import BilevelTrainer

__all__ = [
    "BilevelTrainer",
    "Callback",
    "Checkpoints",
    "FollowerView",
    "Network",
    "RandomFeatures",
    "Table",
    "WithIncentives",
]
