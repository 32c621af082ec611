"""Open what carries tasks out: processes of this machine, or a Dask cluster by the address of its scheduler.

Must never start a cluster, nor leave a process behind.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from healerd.config import WorkersSettings
from healerd.errors import ConfigError, SourceError

__all__ = ["open_workers"]

PATIENCE_S = 10


@contextmanager
def open_workers(settings: WorkersSettings) -> Iterator[Executor]:
    """Open an executor until the block ends.

    Raises:
        ConfigError: a scheduler is named, and the extra `dask` is not installed.
        SourceError: the scheduler does not answer.
    """
    if settings.scheduler is None:
        # Spawned, not forked: DuckDB's and numpy's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(settings.processes, mp_context=context) as executor:
            yield executor
        return
    try:
        # Only who has a cluster waits for it. The library ships half of its types.
        make_client: Any = import_module("distributed").Client
    except ImportError as error:
        raise ConfigError("`workers.scheduler` needs the extra: `pip install healerd[dask]`") from error
    try:
        client = make_client(settings.scheduler, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"no scheduler answers at `{settings.scheduler}`: start `dask scheduler`, or mend it"
        ) from error
    with client, client.get_executor(retries=2, pure=False) as executor:
        yield executor
