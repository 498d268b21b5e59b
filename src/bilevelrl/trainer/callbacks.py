"""What a trainer tells while it learns."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from bilevelrl.trainer.kinds import expect_number

if TYPE_CHECKING:
    from bilevelrl.trainer.trainer import BilevelTrainer


class Callback(Protocol):
    """Is told of the start, of every update and of the end of `BilevelTrainer.learn`."""

    def on_start(self, trainer: "BilevelTrainer", total_timesteps: int) -> None:
        """Before the first update of so many transitions."""
        ...

    def on_update(self, trainer: "BilevelTrainer") -> bool | None:
        """After an update, which is the last entry of `trainer.history`; False stops."""
        ...

    def on_end(self, trainer: "BilevelTrainer") -> None:
        """After the last update, or when an error ends the training."""
        ...


#: A callback, or a function that is told of every update; False stops.
AnyCallback: TypeAlias = Callback | Callable[["BilevelTrainer"], bool | None]


class Callbacks:
    """Several in one."""

    def __init__(self, given: "AnyCallback | Sequence[AnyCallback] | None") -> None:
        """Of one, several or none."""
        several = given if isinstance(given, Sequence) else [given] if given is not None else []
        self._all = [_as_callback(each) for each in several]

    def on_start(self, trainer: "BilevelTrainer", total_timesteps: int) -> None:
        """All."""
        for each in self._all:
            each.on_start(trainer, total_timesteps)

    def on_update(self, trainer: "BilevelTrainer") -> bool:
        """All; whether none says stop."""
        told = [each.on_update(trainer) for each in self._all]
        return all(answer is None or bool(answer) for answer in told)

    def on_end(self, trainer: "BilevelTrainer") -> None:
        """All."""
        with ExitStack() as stack:  # all of them, whatever one raises
            for each in self._all:
                stack.callback(each.on_end, trainer)


def _as_callback(given: Any) -> Callback:
    if not isinstance(given, type) and all(
        hasattr(given, name) for name in ("on_start", "on_update", "on_end")
    ):
        callback: Callback = given
        return callback
    if not callable(given) or isinstance(given, type):
        raise TypeError(
            f"callback is {given!r}; expected a function of the trainer, or an object with "
            "on_start, on_update and on_end"
        )
    return _OnUpdate(given)


class _OnUpdate:
    def __init__(self, function: "Callable[[BilevelTrainer], bool | None]") -> None:
        self._function = function

    def on_update(self, trainer: "BilevelTrainer") -> bool | None:
        return self._function(trainer)

    def on_start(self, trainer: "BilevelTrainer", total_timesteps: int) -> None:
        pass

    def on_end(self, trainer: "BilevelTrainer") -> None:
        pass


class Checkpoints:
    """Saves the trainer every so many updates, the newest only."""

    def __init__(self, path: str | Path, every: int = 10) -> None:
        """To a file; see `BilevelTrainer.save`.

        Raises:
            FileNotFoundError: the file's folder does not exist.
            ValueError: `every` is not positive.
        """
        expect_number("every", every, least=1, whole=True)
        if not Path(path).parent.is_dir():
            raise FileNotFoundError(f"{Path(path).parent} is no folder")
        self._path, self._every = Path(path), every

    def on_start(self, trainer: "BilevelTrainer", total_timesteps: int) -> None:
        """Nothing."""

    def on_update(self, trainer: "BilevelTrainer") -> bool | None:
        """Save if it is time."""
        if trainer.num_updates % self._every == 0:
            trainer.save(self._path)
        return None

    def on_end(self, trainer: "BilevelTrainer") -> None:
        """Nothing."""


class ProgressBar:
    """Draws transitions so far with the newest return, by tqdm."""

    def __init__(self) -> None:
        """Nothing is drawn yet.

        Raises:
            ImportError: tqdm is not installed.
        """
        try:
            from tqdm import tqdm
        except ImportError as error:
            raise ImportError("progress_bar=True needs tqdm: pip install tqdm") from error
        self._make, self._drawn = tqdm, 0
        self._bar: Any = None

    def on_start(self, trainer: "BilevelTrainer", total_timesteps: int) -> None:
        """An empty bar."""
        self._drawn = trainer.env_steps
        self._bar = self._make(total=total_timesteps, unit="step")

    def on_update(self, trainer: "BilevelTrainer") -> bool | None:
        """Move on."""
        self._bar.set_postfix(leader_return=f"{trainer.history[-1]['leader_return_sampled']:.4g}")
        self._bar.update(trainer.env_steps - self._drawn)
        self._drawn = trainer.env_steps
        return None

    def on_end(self, trainer: "BilevelTrainer") -> None:
        """Leave it as it is."""
        self._bar.close()
