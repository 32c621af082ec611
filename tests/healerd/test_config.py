"""The configuration: every mistake is an error with file, line, key and the nearest name."""

from pathlib import Path

import pytest

from healerd.config import LIVE_POLICIES, load_config, parse_config, parse_duration
from healerd.decision import cost_model
from healerd.errors import ConfigError
from healerd.policy import POLICIES

GOOD = """
[daemon]
state = "state"

[pipeline.flights]
source = { path = "predictions/*.parquet", label = "air_time" }
window = "1d"
label_horizon = "24h"
loss = "relative 10%"

[pipeline.flights.actions.retrain]
entry = "training:fit"
cost = 40
failure = 0.2
"""

HERE = Path("healerd.toml")


def test_a_good_file_gives_seconds_paths_and_defaults(tmp_path: Path) -> None:
    """Durations become seconds, relative paths start at the file's folder, and what is left out has its default."""
    file = tmp_path / "healerd.toml"
    file.write_text(GOOD)
    config = load_config(file)
    flights = config.pipeline["flights"]
    assert flights.window == 86400.0
    assert flights.label_horizon == 86400.0
    assert flights.actions["retrain"].deadline == 1800.0
    assert config.state == tmp_path / "state"
    assert config.socket == tmp_path / "state" / "control.sock"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[daemon]\nstat = 's'", "healerd.toml:2: unknown key `stat` in `daemon`; did you mean `state`?"),
        ("[pipeline.a]\nsource = {path='p'}\nwindow = '3 parsecs'", "healerd.toml:3: `pipeline.a.window`: expected a"),
        (
            "[pipeline.a]\nsource = {path='p'}\n[pipeline.a.actions.retrain]\ncost = 'x'",
            "healerd.toml:4: `pipeline.a.ac",
        ),
        (
            "[pipeline.a]\nsource = {path='p'}\n[pipeline.a.actions.retran]\ncost = 1",
            "retrain, rollback, fallback or recalibrate",
        ),
        ("[pipeline.a]\nwindow = '1d'", "missing required field `source`"),
        ("[pipeline.'a b']\nsource = {path='p'}", "a name of at most 63 letters"),
        (
            "[pipeline.a]\nsource = {path='p'}\nreference = {path='r', start=2013-01-01, end=2013-02-01}",
            "either `path`",
        ),
        (
            "[pipeline.a]\nsource = {path='p'}\n[pipeline.a.policy]\nforget = 'week'",
            "invalid enum value 'week'; there are `lesson`, `day`",
        ),
        (
            "[notify]\nquiet = '22:00-07:00'\nzone = 'Europe/Berln'",
            "`zone` must be a time zone such as `Europe/Berlin`; did you mean `Europe/Berlin`?",
        ),
        ("[notify]\nzone = 'Europe'", "healerd.toml:2: `notify.zone`"),
        ("folder = '/tmp'", "unknown key `folder`"),
        ("x = [", "is not TOML"),
        ("[pipeline.a]\nsource = {path='p'}\n[pipeline.a.healing]\nlevel = 2", "`level` must be in (0.5, 1)"),
    ],
)
def test_a_mistake_names_its_place_and_mend(text: str, said: str) -> None:
    """A wrong key, type or range is refused with the place and what would be right."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, path=HERE)
    assert said in str(caught.value)


def test_all_unknown_keys_are_reported_at_once() -> None:
    """Two misspelt keys give two lines, so that one run mends both."""
    text = "[daemon]\nstat = 's'\n[pipeline.a]\nsource = {path='p'}\nwindw = '1d'"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, path=HERE)
    assert len(str(caught.value).splitlines()) == 2


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    """Without a file the error says which was looked for and which option names another."""
    with pytest.raises(ConfigError, match="--config"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("30m", 1800), (" 1d ", 86400), (5, 5), ("1.5h", 5400)])
def test_durations_are_seconds(text: str | float, seconds: float) -> None:
    """Each unit is read as what it says."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "3 months", "-5m", True])
def test_what_is_not_a_duration_is_refused(text: str | float) -> None:
    """Neither a sign nor an unknown unit nor a boolean is guessed at."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


COSTS = "[pipeline.a]\nsource = {path='p'}\n"


@pytest.mark.parametrize(
    ("text", "key", "wanted"),
    [
        ("degraded_cost = inf", "degraded_cost", "above 0, and at most 1e12"),
        ("degraded_cost = nan", "degraded_cost", "above 0, and at most 1e12"),
        ("degraded_windows = 0", "degraded_windows", "above 0, and at most 1e6"),
        ("degraded_minute_cost = -1", "degraded_minute_cost", "above 0, and at most 1e12"),
        ("downtime_cost = 1e30", "downtime_cost", "from 0 to 1e12"),
        ("[pipeline.a.severity]\ncritical = 0", "critical", "above 0, and at most 1000"),
        ("[pipeline.a.actions.retrain]\ncost = inf", "cost", "from 0 to 1e12"),
        ("[pipeline.a.actions.retrain]\nfailure = 0.2", "cost", "given where `failure` is; 0 if it is free"),
        ("[pipeline.a.actions.retrain]\ncost = 1\nfailure = 1.0", "failure", "between 0 and 1"),
        ("[pipeline.a.actions.retrain]\ndowntime = '9w'", "downtime", "from 0 to a week"),
        ("[pipeline.a.policy]\nname = 'uniform'", "name", "the other policies are for experiments"),
        ("[pipeline.a.policy]\nalpha = 2", "alpha", "in [0, 1]"),
        ("[pipeline.a.policy]\nbudget = -5", "budget", "from 0 to 1e12"),
        ("[pipeline.a.policy]\npending_max = 1000", "pending_max", "from 0 to 100"),
    ],
)
def test_absurd_costs_and_terms_are_refused_by_their_key(text: str, key: str, wanted: str) -> None:
    """What no cost model can mean names its key and what it should be."""
    with pytest.raises(ConfigError) as caught:
        parse_config(COSTS + text, path=HERE)
    assert f".{key}`" in str(caught.value)
    assert wanted in str(caught.value)


def test_costs_by_the_minute_are_costs_by_the_window() -> None:
    """Whoever thinks in minutes gets the same window's cost, and downtime counts as part of an action's cost."""
    text = COSTS + "window = '30m'\ndegraded_minute_cost = 2\ndowntime_cost = 3\n"
    settings = parse_config(text + "[pipeline.a.actions.retrain]\ncost = 1\ndowntime = '10m'", path=HERE).pipeline["a"]
    assert settings.window_cost == 60.0
    prior = cost_model(settings).prior("retrain")
    assert prior is not None
    assert prior.cost == 31.0


def test_only_policies_that_learn_within_bounds_may_run() -> None:
    """The names that a configuration may give are those of the table that are not for experiments."""
    assert {name for name, policy in POLICIES.items() if not policy.experimental} == set(LIVE_POLICIES)
