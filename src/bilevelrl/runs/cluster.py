"""Call a function on the workers of a Dask cluster: docs/cluster.md says how to start one."""

import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from bilevelrl.core.provenance import PACKAGE, package_digest
from bilevelrl.core.validation import ConfigError

Answer = TypeVar("Answer")


def on_cluster(
    function: Callable[..., Answer], arguments: Sequence[tuple[Any, ...]], address: str
) -> Iterator[Answer]:
    """Yield function(*each) as workers finish, in any order; a task whose worker died runs again.

    An answer that was yielded is forgotten by the cluster: the loss of a worker repeats none.

    Raises:
        ConfigError: if the scheduler cannot be reached or stops, a worker runs other code than this
            process, or too many workers died with one task.
    """
    code = package_digest()
    with _client(address) as client:
        from dask.distributed import CancelledError, KilledWorker, as_completed

        # Dask's own futures: joblib's backend for it can lose an answer and wait for ever.
        waiting = {client.submit(_checked, code, function, *each, pure=False) for each in arguments}
        try:
            for future in as_completed(list(waiting)):  # type: ignore[no-untyped-call]
                answer = future.result()
                waiting.remove(future)
                future.release()
                yield answer
        except CancelledError as error:
            waiting.clear()
            raise ConfigError(
                f"runtime.dask_scheduler = {address}: it stopped; start it and its workers again, "
                "then repeat this command: finished runs are kept"
            ) from error
        except KilledWorker as error:
            raise ConfigError(
                f"runtime.backend = dask: {error.allowed_failures + 1} workers died with the same "
                f"task, the last at {error.last_worker.address}, as happens without memory; see "
                "their logs. Finished runs are kept"
            ) from error
        finally:
            client.cancel(list(waiting))


def _client(address: str) -> Any:
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise ConfigError(
            "runtime.backend = dask: not installed; pip install .[dask], or set loky"
        ) from error
    try:
        return Client(address)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"runtime.dask_scheduler = {address}: nobody answers; start `dask scheduler` there, or "
            "set runtime.backend to loky"
        ) from error


def _checked(code: str, function: Callable[..., Answer], *arguments: Any) -> Answer:
    if package_digest() != code:  # a worker brings its own package
        raise ConfigError(
            f"runtime.backend: the worker on {socket.gethostname()} runs other code or packages "
            f"than this stage: start it with PYTHONPATH={PACKAGE.parent} in the same environment"
        )
    return function(*arguments)
