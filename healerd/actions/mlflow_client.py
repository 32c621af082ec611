"""What is asked of an MLflow server, and the client that asks it. Must never take nonsense for an answer.

`Shelf` is the whole face that the registry needs, for one registered model: a server behind it, or a double in tests.
Every call raises RegistryAway with the mend when it was not answered; mlflow itself is imported at the first call.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from healerd.errors import ActionError, ConfigError, RegistryAway

__all__ = ["MlflowShelf", "Refused", "Shelf", "Stand", "Stored"]

TIMEOUT_S = 20
"""How long one request may take; the file of a model may take ten times as long."""
PAGE = 200
VERSIONS_MAX = 10_000
TIMEOUTS = ("ReadTimeout", "ConnectTimeout")
FOLDER = "model"
"""Where in its run a model lies."""
LOGGED = "models:/"
NO_SUCH, THERE_ALREADY = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"
REFUSALS = (NO_SUCH, "INVALID_PARAMETER_VALUE", "PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")


class Refused(ActionError):
    """The server itself said no: it has changed nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A registered model at one moment: its tags, and the version number that each alias points at."""

    tags: Mapping[str, str]
    aliases: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A version as MLflow keeps it; `source` is where its files are."""

    number: str
    tags: Mapping[str, str]
    created_at: datetime
    source: str
    ready: bool = True


class Shelf(Protocol):
    """One registered model on one MLflow server. Each call is one request, which takes effect whole or not at all."""

    @property
    def place(self) -> str:
        """The address and the model, for people."""
        ...

    def stand(self) -> Stand | None:
        """Read the tags and aliases as they are at one moment; None when there is no such model."""
        ...

    def make(self) -> None:
        """Make the model, unless it is there."""
        ...

    def tag(self, key: str, value: str) -> None:
        """Write one tag of the model."""
        ...

    def untag(self, key: str) -> None:
        """Remove one tag of the model."""
        ...

    def point(self, alias: str, number: str) -> None:
        """Set an alias, wherever it stands."""
        ...

    def versions(self) -> tuple[Stored, ...]:
        """List every version."""
        ...

    def begin(self, name: str) -> str:
        """Make a place (a run) for the file of a version; returns its id."""
        ...

    def put(self, place: str, file: str, content: bytes) -> None:
        """Store a file there."""
        ...

    def add(self, place: str, tags: Mapping[str, str]) -> str:
        """Make a version of the files there, with its tags; returns its number."""
        ...

    def tag_version(self, number: str, key: str, value: str) -> None:
        """Write one tag of a version."""
        ...

    def remove(self, number: str) -> None:
        """Remove a version, and its place if `begin` made it."""
        ...

    def drafts(self) -> Mapping[str, str]:
        """List the places that `begin` made: the name of a version by the id of the place."""
        ...

    def discard(self, place: str) -> None:
        """Remove a place."""
        ...

    def files(self, stored: Stored) -> tuple[str, ...]:
        """List the names of a version's files."""
        ...

    def read(self, stored: Stored, file: str) -> bytes:
        """Read a file of a version."""
        ...


class MlflowShelf:
    """One registered model on a real server; `must_exist`: it is not ours to make. Implements `Shelf`."""

    def __init__(self, address: str, model: str, *, must_exist: bool = False) -> None:
        self.address, self.model, self._must_exist = address, model, must_exist
        self._client: Any = None
        self._experiment_id: str | None = None

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return partial(MlflowShelf, must_exist=self._must_exist), (self.address, self.model)

    @property
    def place(self) -> str:
        """The address and the model."""
        return f"{self.address}#{self.model}"

    def stand(self) -> Stand | None:
        """Read the tags and aliases."""
        with self._asking() as client:
            found = _or_none(lambda: client.get_registered_model(self.model))
            if found is None:
                return None
            if found.name != self.model:
                raise ValueError(f"asked for `{self.model}`, told of `{found.name}`")
            aliases = {alias: str(number) for alias, number in dict(found.aliases).items()}
            return Stand(tags={**found.tags}, aliases=aliases)

    def make(self) -> None:
        """Make the model, unless it is there. Raises ConfigError where it must be there, and is not."""
        if self._must_exist:
            if self.stand() is None:
                raise ConfigError(
                    f"`registry`: the server has no registered model `{self.place}`; register it there, write its name "
                    "after the `#` as the server has it, or say in `model` which file it begins with"
                )
            return
        with self._asking() as client:
            _unless(THERE_ALREADY, lambda: client.create_registered_model(self.model))

    def tag(self, key: str, value: str) -> None:
        """Write one tag of the model."""
        with self._asking() as client:
            client.set_registered_model_tag(self.model, key, value)

    def untag(self, key: str) -> None:
        """Remove one tag of the model."""
        with self._asking() as client:
            _unless(NO_SUCH, lambda: client.delete_registered_model_tag(self.model, key))

    def point(self, alias: str, number: str) -> None:
        """Set an alias."""
        with self._asking() as client:
            client.set_registered_model_alias(self.model, alias, number)

    def versions(self) -> tuple[Stored, ...]:
        """List every version."""
        found: list[Stored] = []
        token = None
        with self._asking() as client:
            while True:
                wanted = "name='" + self.model.replace("'", "''") + "'"
                page = client.search_model_versions(wanted, max_results=PAGE, page_token=token)
                found += [_stored(each) for each in page]
                token = page.token
                if not token:
                    return tuple(found)
                if len(found) > VERSIONS_MAX:
                    raise ActionError(f"`{self.place}` has over {VERSIONS_MAX:,} versions; remove some")

    def begin(self, name: str) -> str:
        """Make a run."""
        with self._asking() as client:
            run = client.create_run(self._experiment(client), tags={"healerd.name": name}, run_name=name)
            return str(run.info.run_id)

    def put(self, place: str, file: str, content: bytes) -> None:
        """Log a file in a run."""
        with self._asking() as client, TemporaryDirectory(prefix="healerd-") as folder:
            path = Path(folder) / file
            path.write_bytes(content)
            client.log_artifact(place, str(path), artifact_path=FOLDER)

    def add(self, place: str, tags: Mapping[str, str]) -> str:
        """Make a version of the files in a run, and end the run."""
        with self._asking() as client:
            source = f"{client.get_run(place).info.artifact_uri}/{FOLDER}"
            made = client.create_model_version(self.model, source, run_id=place, tags=dict(tags), await_creation_for=0)
            client.set_terminated(place)
            return str(made.version)

    def tag_version(self, number: str, key: str, value: str) -> None:
        """Write one tag of a version."""
        with self._asking() as client:
            client.set_model_version_tag(self.model, number, key, value)

    def remove(self, number: str) -> None:
        """Remove a version, and its run if `begin` made it."""
        with self._asking() as client:
            tags = client.get_model_version(self.model, number).tags
            client.delete_model_version(self.model, number)
            if run := tags.get("healerd.run"):
                _unless(NO_SUCH, lambda: client.delete_run(run))

    def drafts(self) -> Mapping[str, str]:
        """List the runs of the model's experiment."""
        with self._asking() as client:
            found = client.search_runs([self._experiment(client)], max_results=1000)
            return {run.info.run_id: run.data.tags.get("healerd.name", "") for run in found}

    def discard(self, place: str) -> None:
        """Delete a run."""
        with self._asking() as client:
            _unless(NO_SUCH, lambda: client.delete_run(place))

    def files(self, stored: Stored) -> tuple[str, ...]:
        """List the names of a version's files."""
        with self._asking() as client, TemporaryDirectory(prefix="healerd-") as folder:
            root = Path(_downloaded(self.address, _where(client, stored.source), folder))
            return tuple(sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()))

    def read(self, stored: Stored, file: str) -> bytes:
        """Read a file of a version."""
        with self._asking() as client, TemporaryDirectory(prefix="healerd-") as folder:
            return Path(_downloaded(self.address, f"{_where(client, stored.source)}/{file}", folder)).read_bytes()

    def _experiment(self, client: Any) -> str:
        if self._experiment_id is None:
            name = f"healerd/{self.model}"
            found = client.get_experiment_by_name(name)
            self._experiment_id = str(found.experiment_id if found else client.create_experiment(name))
        return self._experiment_id

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """Give the client, and turn whatever it raises into an ActionError with the mend."""
        if self._client is None:
            self._client = _connect(self.address)
        import requests
        from google.protobuf.json_format import ParseError
        from mlflow.exceptions import MlflowException

        try:
            yield self._client
        except (MlflowException, requests.RequestException, ParseError, OSError) as error:
            if getattr(error, "error_code", None) in REFUSALS:
                said = " ".join(str(error).split())[:300]
                raise Refused(f"the MLflow server `{self.place}` refuses: {said}; mend that there") from error
            said = _said(error)
            raise RegistryAway(
                f"the MLflow server `{self.place}` did not answer as it should: {said}; see whether it runs there"
            ) from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise RegistryAway(
                f"the answer of the MLflow server `{self.place}` makes no sense ({error!r}); see what answers there"
            ) from error


def _connect(address: str) -> Any:
    """Make a client that gives up soon; where the environment says how long to wait, that holds."""
    for name, value in (
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", TIMEOUT_S),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", 0),  # the daemon asks again by itself, and knows what may be repeated
        ("MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT", 10 * TIMEOUT_S),
        ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"),
    ):
        os.environ.setdefault(name, str(value))
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise ActionError(
            f"`mlflow:` needs the client of MLflow ({error}); install `healerd[mlflow]` where the daemon runs"
        ) from error
    return MlflowClient(tracking_uri=address, registry_uri=address)


def _said(error: BaseException) -> str:
    """Say in a few words what went wrong: what the system said where it did, else what the client says."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, OSError) and at.errno is not None:
            return (at.strerror or os.strerror(at.errno)).lower()
        if isinstance(at, TimeoutError) or type(at).__name__ in TIMEOUTS:
            return "no answer in time"
        at = at.__cause__ or at.__context__
    return " ".join(str(error).split())[:300]


def _where(client: Any, source: str) -> str:
    """Give the address of a version's files; a logged model's is asked of the server that has it."""
    if not source.startswith(LOGGED):
        return source.rstrip("/")
    return str(client.get_logged_model(source.removeprefix(LOGGED).split("/")[0]).artifact_location).rstrip("/")


def _downloaded(address: str, uri: str, folder: str) -> str:
    from mlflow.artifacts import download_artifacts

    return str(download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=address))


def _stored(found: Any) -> Stored:
    created_at = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
    ready = found.status == "READY"
    return Stored(
        number=str(found.version), tags={**found.tags}, created_at=created_at, source=str(found.source), ready=ready
    )


def _or_none(ask: Any) -> Any:
    """Ask for something that may not be there; only the server's own word says that it is not."""
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        if error.error_code == NO_SUCH:
            return None
        raise


def _unless(code: str, ask: Any) -> None:
    """Ask, and take this refusal for done."""
    from mlflow.exceptions import MlflowException

    try:
        ask()
    except MlflowException as error:
        if error.error_code != code:
            raise
