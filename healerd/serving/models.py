"""The model that serves, as the registry's alias says: loaded, tried, and only then swapped in.

Must never let a model serve that has not answered its self-test, nor change what a request in flight was handed:
a request keeps the model that it began with.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from healerd.actions import Model, Registry
from healerd.columns import Column
from healerd.errors import ActionError, HealerdError, ServingError
from healerd.serving.computing import only_computes
from healerd.serving.signature import Signature, signature_of
from healerd.serving.tensors import Array

__all__ = ["Loaded", "Slot"]

SAMPLES_KEPT = 32
"""Requests remembered for the self-test of the next model: the rows that it will be asked about."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    """One version in memory; `text` tells classes from numbers, where the self-test could tell, `computes` whether the
    model does nothing but compute."""

    version: str
    model: Model
    signature: Signature
    text: bool | None
    computes: bool = False

    def predict(self, columns: Mapping[str, Column]) -> Array:
        """Predict n outputs. Raises whatever the model raises, ServingError when they are not n of the known kind."""
        out = np.asarray(self.model.predict(columns))
        rows = len(next(iter(columns.values())))
        if out.shape != (rows,):
            raise ServingError(f"version `{self.version}` gave {list(out.shape)} outputs for {rows} rows", status=500)
        text = out.dtype.kind in "OUS" if self.text is None else self.text
        # A copy: the model may use its array again before the record is written.
        return _texts(out) if text else out.astype(np.float64)

    @property
    def knows_chances(self) -> bool:
        """Tell whether the model gives probabilities."""
        return hasattr(self.model, "chances") or hasattr(self.model, "predict_proba")

    def chances(self, columns: Mapping[str, Column]) -> Array:
        """Give the probabilities of the classes: n rows of them, or n of the last class."""
        model: Any = self.model
        found = np.asarray((model.chances if hasattr(model, "chances") else model.predict_proba)(columns), np.float64)
        rows = len(next(iter(columns.values())))
        if found.ndim not in {1, 2} or len(found) != rows:
            raise ServingError(
                f"version `{self.version}` gave probabilities of shape {list(found.shape)} for {rows} rows", status=500
            )
        return found


class Slot:
    """The place of one model in the gateway: follows the alias `active` of its registry.

    `follow` is called from one thread, again and again; requests read `current`, which changes in one step. A version
    that takes longer than `within_s` to be loaded and tried is refused, and so is one whose outputs are of another
    kind than the `substitute` that is answered when it fails.
    """

    def __init__(
        self,
        name: str,
        registry: Registry,
        *,
        report: Callable[[str], None],
        within_s: float,
        substitute: float | str | None = None,
    ) -> None:
        self.name, self._registry, self._report = name, registry, report
        self._within_s, self._substitute = within_s, substitute
        self._trying = Future[Loaded]()
        self.current: Loaded | None = None
        self.problem = "not loaded yet"
        self.swaps, self.refusals = 0, 0
        self.wanted = True
        self._refused: tuple[str, int] | None = None
        self._samples: deque[Mapping[str, Column]] = deque(maxlen=SAMPLES_KEPT)
        self._busy = threading.Lock()

    @property
    def place(self) -> str:
        """Where the registry is: an absolute folder, or an address."""
        place = self._registry.place
        return place if "://" in place else str(Path(place).absolute())

    def remember(self, columns: Mapping[str, Column]) -> None:
        """Keep the first row of a request that was answered, for the self-test of the next model."""
        few = len(next(iter(columns.values()))) == 1
        self._samples.append(columns if few else {name: column[:1].copy() for name, column in columns.items()})

    def follow(self) -> None:
        """Load and swap in what the alias names, when it names another version.

        Never raises for a bad model, nor where the registry cannot be read.
        """
        with self._busy:
            if not self.wanted:
                return
            try:
                alias = self._registry.alias()
                version = alias.version
                if version is None:
                    raise ActionError(f"registry `{self._registry.place}` has no active version")
                if self.current is not None and self.current.version == version:
                    self.problem = ""
                    return
                if self._refused == (version, alias.generation):
                    return
                self._swap(version, alias.generation)
            except (HealerdError, OSError) as error:
                self._say(str(error))

    def load(self) -> None:
        """Serve again after an `unload`. Raises ServingError when there is nothing that can serve."""
        self.wanted, self._refused = True, None
        self.follow()
        if self.current is None:
            raise ServingError(f"model `{self.name}` cannot be loaded: {self.problem}", status=503)

    def unload(self) -> None:
        """Stop serving until `load`."""
        with self._busy:
            self.wanted, self.current, self.problem = False, None, "unloaded"

    def close(self) -> None:
        """Wait no longer for a version that is being tried."""
        self.wanted = False
        _set(self._trying, ServingError("the gateway ends"))

    def _swap(self, version: str, generation: int) -> None:
        try:
            self.current = self._tried_in_time(version)
        except (Exception, SystemExit) as error:  # a model's own code may raise anything, also while it is loaded
            self._refused, self.refusals = (version, generation), self.refusals + 1
            kept = f"`{self.current.version}` goes on serving" if self.current else "nothing serves"
            self._say(f"version `{version}` does not serve, {kept}: {_told(error)}")
            return
        self.problem, self.swaps, self._refused = "", self.swaps + 1, None
        self._report(f"model `{self.name}`: version `{version}` serves")

    def _tried_in_time(self, version: str) -> Loaded:
        """Load and try a version in a thread that is left behind when it hangs. Raises what it raised, ServingError."""
        trying = self._trying = Future[Loaded]()
        if not self.wanted:  # closed, or unloaded, while the alias was read
            raise ServingError("the gateway ends")
        name = f"trying {self.name}"
        threading.Thread(target=_try, args=(self._tried, version, trying), name=name, daemon=True).start()
        try:
            return trying.result(self._within_s)
        except TimeoutError:
            if trying.done():  # it is the model's own
                raise
            late = f"it was not loaded and tried within {self._within_s:g} s; mend it, or raise `serving.load_timeout`"
            raise ServingError(late) from None
        finally:
            self._trying = Future()  # which would keep what was refused in memory
            del trying

    def _tried(self, version: str) -> Loaded:
        """Load a version and ask it what the last requests asked. Raises ActionError, ServingError."""
        model = self._registry.load(version)
        signature = signature_of(model)
        before = self.current
        if before is not None and not signature.features:
            signature = before.signature
        samples = [*self._samples] or [_made_up(signature)]
        text = None
        for columns in samples:
            if not columns:
                break
            out = _asked(model, columns)
            text = out.dtype.kind in "OUS"
            if before is not None and before.text not in {None, text}:
                raise ServingError(f"it gives {'text' if text else 'numbers'}, the model before it does not")
            if not text and not np.isfinite(out.astype(np.float64)).all():
                raise ServingError("its self-test gave a value that is no number")
        if text is not None and self._substitute is not None and text != isinstance(self._substitute, str):
            raise ServingError(
                f"it gives {'text' if text else 'numbers'}, but `serving.substitute` is `{self._substitute}`; mend that"
            )
        computes = only_computes(model)
        return Loaded(version=version, model=model, signature=signature, text=text, computes=computes)

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._report(f"model `{self.name}`: {problem}")


def _asked(model: Model, columns: Mapping[str, Column]) -> Array:
    out = np.asarray(model.predict(columns))
    if out.shape != (1,):
        raise ServingError(f"its self-test of one row gave {list(out.shape)} outputs")
    return out


def _try(tried: Callable[[str], Loaded], version: str, future: Future[Loaded]) -> None:
    """Load and try a version; this is the thread's whole life."""
    try:
        _set(future, tried(version))
    except (Exception, SystemExit) as error:
        _set(future, error)


def _set(future: Future[Loaded], found: Loaded | BaseException) -> None:
    """End a future, unless it has ended already."""
    with suppress(InvalidStateError):
        if isinstance(found, BaseException):
            future.set_exception(found)
        else:
            future.set_result(found)


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, HealerdError) else f"it raised {type(error).__name__}: {error}"


def _texts(out: Array) -> Array:
    """Make classes text that can be written: a class of another type by its name, what is no UTF-8 replaced."""
    texts = [each if type(each) is str else str(each) for each in out.tolist()]
    clean = [each if each.isascii() else each.encode("utf-8", "replace").decode() for each in texts]
    return np.array(clean, np.object_)


def _made_up(signature: Signature) -> dict[str, Column]:
    """Make one row of what a model takes: zeros, and a text that it has never seen."""
    return {
        each.name: np.array(["-"], np.object_) if each.kind == "categorical" else np.zeros(1)
        for each in signature.features
    }
