"""One model of the gateway as a whole: slot, worker, substitute, ids and record. Must never answer without a record.

An answer has the version that gave it and the id of its prediction; both are what the record says.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from healerd.actions import Registry
from healerd.clock import SystemClock
from healerd.columns import Column, Kind, Labels, kind_of
from healerd.config import ServingSettings
from healerd.errors import ServingError, StoreError
from healerd.segments.spool import SUBSTITUTE, BlockKind, SpoolWriter, read_blocks, spool_files, written_at
from healerd.serving.ids import Instances, row_ids
from healerd.serving.metrics import Metrics
from healerd.serving.models import Loaded, Slot
from healerd.serving.protocol import InferRequest
from healerd.serving.recorder import Recorder, Served
from healerd.serving.substitute import Substitute
from healerd.serving.tensors import Array
from healerd.serving.work import Worker, ask_at_once

__all__ = ["FUTURE_MAX_S", "Answer", "LabelsTaken", "Service"]

OUTPUTS = ("output", "probabilities", "prediction_id")
AT_ONCE_ROWS, AT_ONCE_S = 32, 0.002
"""Up to so many rows, and while it takes no longer, a model that only computes is asked without its thread."""
TIMED_FIRST, TIMED_EVERY = 32, 8
"""So many of these calls are timed at first, and then one in so many: asking for the time takes a while itself."""
FUTURE_MAX_S = 60.0
"""How far a label's time may lie ahead of the clock."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """Outputs of n rows by name, the version that gave them, and what the response says beside them."""

    version: str
    rows: int
    outputs: Mapping[str, Array]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsTaken:
    """What became of labels that were sent: how many are new, which were there already, and which nobody gave."""

    accepted: int
    repeated: tuple[str, ...]
    unknown: tuple[str, ...]


class Service:
    """Answers for one model. Made in the event loop; `follow` is called from another thread."""

    def __init__(
        self,
        name: str,
        registry: Registry,
        settings: ServingSettings,
        *,
        folder: Path,
        metrics: Metrics,
        report: Callable[[str], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.name, self.folder, self._settings, self._metrics = name, folder, settings, metrics
        self._clock = SystemClock()
        instead = settings.substitute.get(name)
        self.slot = Slot(name, registry, report=report, within_s=settings.load_timeout, substitute=instead)
        self._loop = loop
        self._worker: Worker | None = None
        self._asking, self._usual_s = 0, 0.0
        self._asker: Any = None
        self._turn = 0
        self._substitute = Substitute(instead)
        self._instance, self._number = secrets.token_hex(6), 0
        _begin(folder)
        self._known = Instances.found(folder)
        self._kind = _kind(folder)  # of the outputs; None before there are any
        self._labelled = {name for path in spool_files(folder) for name in _labelled(path, self._kind)}
        self.recorder = Recorder(
            SpoolWriter(folder, self._instance),
            flush_s=settings.flush,
            loop=loop,
            report=lambda said: report(f"model `{name}`: {said}"),
        )

    async def infer(self, asked: InferRequest, *, version: str | None = None, asker: Any = None) -> Answer:
        """Answer a request; `asker` is the connection that it came on, where that is known.

        Raises ServingError; StoreError where the row must be durable first and cannot be.
        """
        self._asking += 1
        try:
            # Requests that have come as well begin now, so that they are seen; who asks again and again is alone.
            if asker is None or asker != self._asker:
                self._asker = asker
                await asyncio.sleep(0)
            return await self._answered(asked, version)
        finally:
            self._asking -= 1

    async def _answered(self, asked: InferRequest, version: str | None) -> Answer:
        loaded = self._loaded(version)
        columns = loaded.signature.columns(asked.inputs)
        rows = len(next(iter(columns.values())))
        if rows == 0:
            raise ServingError("the request has no rows")
        _check_outputs(asked)
        wanted = "probabilities" in asked.outputs
        if wanted and not loaded.knows_chances:
            raise ServingError(f"version `{loaded.version}` gives no probabilities")
        asks = wanted or (self._settings.scores and loaded.knows_chances)
        outputs, chances, instead = await self._asked(loaded, columns, rows=rows, chances=asks)
        used = SUBSTITUTE if instead else loaded.version
        ids = await self._record(used, outputs, columns, chances if self._settings.scores else None)
        found: dict[str, Array] = {"output": outputs}
        if "prediction_id" in asked.outputs:
            found["prediction_id"] = np.array(ids, np.object_)
        if wanted and chances is not None:
            found["probabilities"] = chances
        said = {"prediction_id": ids[0]}
        told = {**said, "substitute": True} if instead else said
        return Answer(version=used, rows=rows, outputs=found, parameters=told)

    def know_labels(self, ids: list[str]) -> list[bool]:
        """Tell which ids were given by this model."""
        return [self._known.know(each) for each in ids]

    async def take_labels(self, labels: Mapping[str, tuple[float | str, datetime | None]]) -> LabelsTaken:
        """Keep labels by id, each the first time only; come back when they are durable.

        Raises StoreError; ServingError, and keeps none, where one is of another kind than the outputs.
        """
        _check_kinds(labels, self._kind)
        unknown = tuple(each for each in labels if not self._known.know(each))
        repeated = tuple(each for each in labels if each in self._labelled)
        fresh = {each: found for each, found in labels.items() if each not in {*unknown, *repeated}}
        now = self._clock.now()
        for kind in (str, float):
            of_kind = {
                name: at or now for name, (label, at) in fresh.items() if isinstance(label, str) == (kind is str)
            }
            if not of_kind:
                continue
            self._labelled.update(
                of_kind
            )  # before it is durable, so that the same label sent twice at once counts once
            try:
                await self.recorder.keep_labels(_labels(fresh, of_kind, kind))
            except StoreError:
                self._labelled.difference_update(of_kind)
                raise
        self._metrics.labels(self.name, accepted=len(fresh), repeated=len(repeated), unknown=len(unknown))
        return LabelsTaken(accepted=len(fresh), repeated=repeated, unknown=unknown)

    async def sweep(self) -> None:
        """Remove recorded files that are older than they are kept; which ids were labelled is forgotten with them."""
        oldest = self._clock.now().timestamp() - self._settings.keep
        gone = await asyncio.to_thread(_sweep, self.folder, oldest, self.recorder.writer.path, self._kind)
        self._labelled -= gone

    @property
    def hangs(self) -> bool:
        """Tell whether the version that serves hangs in as many threads as may."""
        return self._worker is not None and self._worker.hangs and self._worker.loaded is self.slot.current

    def close(self) -> None:
        """Write what waits, and end."""
        if self._worker is not None:
            self._worker.close()
        self.recorder.close()

    async def unload(self) -> None:
        """Serve no version until `load`, and keep none in memory."""
        await asyncio.to_thread(self.slot.unload)
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _worker_of(self, loaded: Loaded) -> Worker:
        """Give the worker of a version, which begins with it: one that hangs is left behind with its own."""
        if self._worker is None or self._worker.loaded is not loaded:
            if self._worker is not None:
                self._worker.close()
            self._worker = Worker(loaded, self._loop)
        return self._worker

    def _loaded(self, version: str | None) -> Loaded:
        loaded = self.slot.current
        if loaded is None:
            raise ServingError(f"model `{self.name}` does not serve: {self.slot.problem}", status=503)
        if version is not None and version != loaded.version:
            raise ServingError(f"version `{version}` does not serve; `{loaded.version}` does", status=404)
        return loaded

    async def _asked(
        self, loaded: Loaded, columns: Mapping[str, Column], *, rows: int, chances: bool
    ) -> tuple[Array, Array | None, bool]:
        """Ask the model; when it fails, give the substitute, and say that it is one."""
        at_once = self._asking == 1 and rows <= AT_ONCE_ROWS and loaded.computes and self._usual_s < AT_ONCE_S
        try:
            outputs, found = (
                self._ask_at_once(loaded, columns, chances=chances)
                if at_once
                else await self._worker_of(loaded).ask(
                    columns, rows=rows, chances=chances, timeout_s=self._settings.timeout
                )
            )
        except (ServingError, TimeoutError) as error:
            return self._instead(loaded, rows, error), None, True
        self._kind = kind_of(outputs)
        self._substitute.learn(outputs)
        self.slot.remember(columns)
        return outputs, found, False

    def _ask_at_once(
        self, loaded: Loaded, columns: Mapping[str, Column], *, chances: bool
    ) -> tuple[Array, Array | None]:
        """Ask in the event loop: one request alone has nobody to wait with, and two threads cost it two waits."""
        self._turn += 1
        if self._turn > TIMED_FIRST and self._turn % TIMED_EVERY:
            return ask_at_once(loaded, columns, chances=chances)
        began = time.thread_time()  # in which neighbours on the machine do not count
        try:
            return ask_at_once(loaded, columns, chances=chances)
        finally:
            # A moving average in which one slow call, such as the first, does not count for much.
            took_s = min(time.thread_time() - began, 10 * AT_ONCE_S)
            self._usual_s += (took_s - self._usual_s) / 20

    def _instead(self, loaded: Loaded, rows: int, error: Exception) -> Array:
        status = 504 if isinstance(error, TimeoutError) else 500
        answer = self._substitute.answer(rows)
        self._metrics.substituted(self.name, "timeout" if status == 504 else "error", answered=answer is not None)
        if answer is None:
            raise ServingError(f"version `{loaded.version}`: {error}" if status == 504 else str(error), status=status)
        return answer

    async def _record(
        self, version: str, outputs: Array, columns: Mapping[str, Column], chances: Array | None
    ) -> tuple[str, ...]:
        ids = row_ids(self._instance, self._number + 1, len(outputs))
        self._number += len(outputs)
        self._known.gave(self._instance, self._number)
        at_us = int(self._clock.now().timestamp() * 1e6)
        await self.recorder.keep(
            Served(
                last_number=self._number,
                ids=ids,
                at_us=at_us,
                version=version,
                output=outputs,
                columns=columns,
                score=None if chances is None else _sureness(chances),
            )
        )
        return ids


def _begin(folder: Path) -> None:
    """Make the folder of the record, so that no requests yet is an empty record and not a missing one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"`{folder}` cannot be made: {error.strerror}; mend its rights, or set --record") from error


def _check_outputs(asked: InferRequest) -> None:
    """Refuse an output that no model has, before anything is asked or recorded."""
    unknown = asked.outputs and asked.outputs.keys() - OUTPUTS
    if unknown:
        raise ServingError(f"no output `{min(unknown)}`; there are {', '.join(f'`{name}`' for name in OUTPUTS)}")


def _sureness(chances: Array) -> Array:
    """How sure a model is of each row: the probability of its likeliest class."""
    sure: Array = np.maximum(chances, 1.0 - chances) if chances.ndim == 1 else chances.max(axis=1)
    return sure


def _sweep(folder: Path, oldest: float, open_: Path | None, kind: Kind | None) -> set[str]:
    """Remove what was last written before `oldest`; give the ids whose labels went with it."""
    old = [path for path in spool_files(folder) if written_at(path) < oldest and path != open_]
    gone = {name for path in old for name in _labelled(path, kind)}
    for path in old:
        path.unlink(missing_ok=True)
    return gone


def _labelled(path: Path, kind: Kind | None) -> set[str]:
    """Name the rows that have a label; one of another kind than the outputs is none, and may be sent again."""
    blocks = (block.labels() for block in read_blocks(path, kind=BlockKind.LABELS))
    return {str(name) for labels in blocks if kind in {None, kind_of(labels.label)} for name in labels.ids}


def _kind(folder: Path) -> Kind | None:
    """Tell of which kind the outputs of the newest file are that a model answered. Raises StoreError."""
    for path in reversed(spool_files(folder)):
        for block in read_blocks(path, kind=BlockKind.ROWS):
            rows = block.rows()
            if (rows.version != SUBSTITUTE).any():
                return kind_of(rows.output)
    return None


def _check_kinds(labels: Mapping[str, tuple[float | str, datetime | None]], kind: Kind | None) -> None:
    """Refuse labels that could never equal an output. Raises ServingError."""
    for name, (label, _) in labels.items():
        if kind == "numeric" and isinstance(label, str):
            raise ServingError(
                f'label of `{name}`: `"{label[:80]}"` is text, but the model gives numbers; send a number'
            )
        if kind == "categorical" and not isinstance(label, str):
            raise ServingError(f"label of `{name}`: `{label:.17g}` is a number, but the model gives text; send text")


def _labels(fresh: Mapping[str, tuple[float | str, datetime | None]], at: Mapping[str, datetime], kind: type) -> Labels:
    times = [int(each.timestamp() * 1e6) for each in at.values()]
    return Labels(
        ids=np.array(list(at), np.object_),
        label=np.array([fresh[name][0] for name in at], np.object_ if kind is str else np.float64),
        at=np.array(times, np.int64).astype("datetime64[us]"),
    )
