"""`try` runs the whole loop over a table, and what it writes is what it did."""

import io
import json
import re
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from healerd.clock import ManualClock
from healerd.config import load_config
from healerd.decision import cost_model
from healerd.errors import ConfigError, HealerdError, LockHeld, RulesError
from healerd.model import Answer, Intent, StageChange
from healerd.offline.chronicle import SIMULATED
from healerd.offline.contract import EventKind, Report
from healerd.offline.options import TryOptions
from healerd.offline.settings import Settings, config_of, taken_from
from healerd.offline.setup import prepare
from healerd.offline.teller import Teller
from healerd.offline.trial import run_try
from healerd.store import ReadStore, Store
from tests.healerd.offline.streams import a_stream
from tests.healerd.offline.tables import drifting


class Ran:
    """One run: what it was asked, printed and wrote."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.folder = folder
        self.state, self.json, self.html = folder / "state", folder / "out.json", folder / "out.html"
        self.out, self.err = io.StringIO(), io.StringIO()
        options = {"target": "wins", "time": "time", "train_rows": 600, "state": self.state}
        self.options = TryOptions(**{"json": self.json, "html": self.html, **options, **given})

    def run(self) -> int:
        return run_try(self.options, Teller(out=self.out, err=self.err))

    @property
    def report(self) -> Report:
        return msgspec.json.decode(self.json.read_bytes(), type=Report)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("try")
    ran = Ran(folder, file=drifting(folder / "games.csv", turn=22))
    assert ran.run() == 0
    return ran


def copy(ran: Ran, folder: Path) -> Path:
    """Copy a run's state, so that other tests find it as it was."""
    return Path(shutil.copytree(ran.state, folder / "copy"))


def test_each_action_that_took_effect_says_why(ran: Ran) -> None:
    """A line of the story, and of the JSON, is never a bare verb."""
    acted = [event for event in ran.report.events if event.kind is EventKind.ACTED]
    assert acted
    assert all(event.reason for event in acted)


def test_the_json_has_the_keys_of_the_contract(ran: Ran) -> None:
    """Other tools find every key of the contract, and nothing else at the top."""
    found = json.loads(ran.json.read_text())
    assert set(found) == {"schema", "data", "baselines", "healerd", "metric", "events", "audit", "seconds"}
    assert found["schema"] == 1
    assert set(found["data"]) == {"rows", "columns", "from", "to", "sha256"}
    assert set(found["healerd"]) == {"quality", "retrains", "trainings", "rollbacks", "fallbacks", "other"}
    assert set(found["metric"]) == {"name", "higher_is_better"}
    assert set(found["audit"]) == {"leaves", "verified"}
    assert all(set(line) == {"name", "quality", "retrains"} for line in found["baselines"])
    keys = {"at", "kind", "pipeline", "action", "reason", "trace_id", "outcome"}
    assert all(set(event) == keys for event in found["events"])


def test_never_is_always_among_the_baselines(ran: Ran) -> None:
    """What doing nothing reaches stands beside healerd, with 0 retrains."""
    assert [line.retrains for line in ran.report.baselines if line.name == "never"] == [0]


def test_the_data_is_described_as_it_is(ran: Ran) -> None:
    """Rows, columns and times are those of the file."""
    data = ran.report.data
    assert (data.rows, data.columns) == (2400, 4)
    assert data.from_ == "2024-01-01T00:00:00Z"
    assert data.to.startswith("2024-02-09T23")


def test_a_change_is_healed_and_beats_doing_nothing(ran: Ran) -> None:
    """After the label turned around, healerd ends well above the model that stays."""
    report = ran.report
    never = next(line.quality for line in report.baselines if line.name == "never")
    assert report.healerd.retrains + report.healerd.fallbacks >= 1
    assert report.healerd.quality > never + 0.1


def test_no_heal_before_the_change(ran: Ran) -> None:
    """Nothing is done to a healthy model."""
    turn = datetime.fromisoformat("2024-01-23T00:00:00+00:00")
    acted = [event for event in ran.report.events if event.kind is EventKind.ACTED]
    assert acted
    assert all(datetime.fromisoformat(event.at) > turn for event in acted)


def test_counts_are_those_of_the_store(ran: Ran) -> None:
    """Each count equals the effects that the store holds."""
    with ReadStore.open(ran.state) as store:
        done = [intent for intent in store.find(Intent) if intent.effect_at is not None]
    counts = ran.report.healerd
    assert counts.retrains == sum(intent.action == "promote" for intent in done)
    assert counts.rollbacks == sum(intent.action == "rollback" for intent in done)
    assert counts.fallbacks == sum(intent.action == "fallback" for intent in done)


def test_events_are_in_order_and_lead_to_their_decision(ran: Ran) -> None:
    """Events are told in the order of time, and an action names its trace."""
    events = ran.report.events
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert all(event.trace_id for event in events if event.kind is EventKind.ACTED)


def test_s19_the_simulated_operator_is_recorded_and_said(ran: Ran) -> None:
    """Whoever answers in a run without people is called simulated, in the log and in print."""
    with ReadStore.open(ran.state) as store:
        answers, stages = store.find(Answer), store.find(StageChange)
    assert answers
    assert {answer.author for answer in answers} == {SIMULATED}
    assert {change.author for change in stages if change.stage == "live"} <= {SIMULATED}
    assert "`simulated`" in ran.out.getvalue()


def test_the_log_of_a_run_verifies(ran: Ran) -> None:
    """The audit log is whole, and the report says so."""
    assert ran.report.audit.verified
    with ReadStore.open(ran.state) as store:
        assert store.verify().leaves == ran.report.audit.leaves


def test_the_page_needs_nothing_from_elsewhere(ran: Ran) -> None:
    """The report page has plots and loads nothing."""
    page = ran.html.read_text()
    assert "<svg" in page
    assert not re.search(r"https?:|src=|@import|url\(|<script|<link", page)


def test_the_table_of_results_is_printed(ran: Ran) -> None:
    """The story ends with what each way reached."""
    told = ran.out.getvalue()
    assert re.search(r"never +\d+\.\d%", told)
    assert re.search(r"healerd +\d+\.\d%", told)
    assert "verified" in told


def test_progress_goes_beside_the_story(ran: Ran) -> None:
    """Progress is not mixed into what is printed."""
    assert "50% 2024-01-" in ran.err.getvalue()
    assert "50%" not in ran.out.getvalue()


def test_running_again_on_a_finished_state_gives_the_same(ran: Ran, tmp_path: Path) -> None:
    """A run that is over is read from its folder: nothing is done twice."""
    again = Ran(tmp_path, file=ran.options.file, state=copy(ran, tmp_path))
    assert again.run() == 0
    assert again.report.healerd == ran.report.healerd
    assert again.report.baselines == ran.report.baselines
    # The second start adds one leaf of its own.
    assert again.report.audit.leaves > ran.report.audit.leaves


def test_another_run_in_the_folder_is_refused(ran: Ran, tmp_path: Path) -> None:
    """A folder that holds another run is not written into."""
    other = Ran(tmp_path, file=ran.options.file, state=copy(ran, tmp_path), retrain_cost=5.0)
    with pytest.raises(ConfigError, match="other settings"):
        other.run()


def test_a_folder_that_another_process_holds_is_refused(ran: Ran, tmp_path: Path) -> None:
    """Two daemons never share a state folder."""
    state, clock = copy(ran, tmp_path), ManualClock(datetime.fromisoformat("2024-03-01T00:00:00+00:00"))
    with Store.open(state, clock=clock), pytest.raises(LockHeld):
        Ran(tmp_path, file=ran.options.file, state=state).run()


def test_rules_with_errors_end_before_anything_is_written(tmp_path: Path) -> None:
    """A rule file that does not compile is an error, and no state is left behind."""
    rules = tmp_path / "mine.heal"
    rules.write_text('import "base"\npermit nonsense\n')
    ran = Ran(tmp_path, file=drifting(tmp_path / "games.csv", days=20), rules=rules)
    with pytest.raises(RulesError):
        ran.run()
    assert not ran.state.exists()
    assert not ran.json.exists()


@pytest.mark.parametrize(
    "given",
    [
        {"target": "nothing"},
        {"estimator": "no.such:Model"},
        {"json": Path("/nowhere/out.json")},
        {"train_rows": 5},
        {"state": Path("/dev/null/state")},
    ],
)
def test_bad_input_leaves_nothing_behind(tmp_path: Path, given: dict[str, Any]) -> None:
    """An option that makes no sense ends with exit code 2 and nothing half written."""
    ran = Ran(tmp_path, file=drifting(tmp_path / "games.csv", days=20), **given)
    with pytest.raises(HealerdError) as refusal:
        ran.run()
    assert refusal.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["games.csv"]


# A configuration of one's own.

OWN = """
[pipeline.games]
source = {{ path = "served/*.parquet", id = "id", label = "wins" }}
rules = ["mine.heal"]
segments = ["a"]
degraded_cost = 50
policy = {{ alpha = 0.05, failure_margin = 0.1 }}
[pipeline.games.actions.retrain]
cost = 7
failure = 0.2
command = ["train", "--fast"]
[pipeline.games.healing]
verify_windows = 2
{more}
"""


PLAIN = Settings(
    pipeline="t",
    window_s=3600.0,
    label_horizon_s=0.0,
    loss="zero-one",
    rows_min=100,
    retrain_cost=None,
    rules=None,
    estimator=None,
    task="classification",
)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "mine.heal").write_text('pack mine version 1.0\nimport "default"\n')
    path = tmp_path / "healerd.toml"
    path.write_text(OWN.format(more=""))
    return path


def test_a_configuration_of_one_s_own_holds_for_the_table(own: Path) -> None:
    """Rules, segments, costs and policy are its own; how rows are read and models trained are the trial's."""
    settings = replace(PLAIN, own=taken_from(own))
    made = config_of(settings).pipeline["t"]
    assert made.rules == [str(own.parent / "mine.heal")]
    assert (made.segments, made.policy.alpha, made.policy.failure_margin) == (["a"], 0.05, 0.1)
    assert (made.actions["retrain"].cost, made.actions["retrain"].failure) == (7, 0.2)
    theirs = load_config(own).pipeline["games"]
    for action in ("rollback", "fallback"):
        assert cost_model(made).prior(action) == cost_model(theirs).prior(action), "what is not configured has no say"
    assert (made.healing.verify_windows, made.healing.rows_min) == (2, 100)
    assert made.source.kind == "memory"
    assert made.actions["retrain"].entry
    dearer = config_of(replace(settings, retrain_cost=0.5)).pipeline["t"]
    assert dearer.actions["retrain"].cost == 25, "an option counts over the file"


@pytest.mark.parametrize("sign", ["é", "😀", "\x7f"])
def test_a_path_of_any_sign_can_be_configured(tmp_path: Path, sign: str) -> None:
    """The run's own TOML holds what a folder may be called: signs beyond the first plane of Unicode, and DEL."""
    folder = tmp_path / sign
    folder.mkdir()
    rules = folder / "mine.heal"
    rules.write_text('import "default"\n')
    assert config_of(replace(PLAIN, rules=rules)).pipeline["t"].rules == [str(rules)]


def test_a_run_reports_by_the_loss_of_the_configuration() -> None:
    """A loss that a person's configuration sets is the one that the first model and the report are measured by."""
    stream = replace(a_stream(np.linspace(100.0, 200.0, 100)), task="regression")
    own = replace(PLAIN, task="regression", own={"loss": "absolute 2"})
    assert prepare(stream, own, Teller(out=io.StringIO(), err=io.StringIO())).settings.loss == "absolute 2"


def test_which_pipeline_of_a_configuration_is_said(own: Path) -> None:
    """Of several one is named; an unknown one, and a wrong file, are errors that say so."""
    with pytest.raises(ConfigError, match=r"no pipeline `cards`; it has games"):
        taken_from(own, pipeline="cards")
    own.write_text(OWN.format(more='[pipeline.cards]\nsource = { kind = "memory" }'))
    with pytest.raises(ConfigError, match=r"the pipelines games, cards: name one with `--pipeline`"):
        taken_from(own)
    assert taken_from(own, pipeline="cards")["degraded_cost"] == 100
    own.write_text(OWN.format(more="[pipeline.games.policy]\nalhpa = 1"))
    with pytest.raises(ConfigError):
        taken_from(own, pipeline="games")
