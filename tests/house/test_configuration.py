"""The reference of the configuration is that of the records, and says everything."""

import pytest

from healerd.config import DaemonSettings, HealingSettings, ReferenceSettings
from healerd.settings import Settings
from tests.house import configuration

RECORDS = dict(configuration.records())


def test_the_reference_of_the_configuration_is_that_of_the_program() -> None:
    """Every key stands in the reference with its type, default, bounds and meaning, as the records have them."""
    assert configuration.written() == configuration.reference(), "run `python -m tests.house.reference`"


@pytest.mark.parametrize("record", RECORDS.values(), ids=lambda record: record.__name__)
def test_every_key_has_a_meaning(record: type[Settings]) -> None:
    """No key of the configuration is without a text, which is the text under it in the source."""
    keys = {field.name for field in configuration.fields_of(record)}
    assert {key for key in keys if not configuration.meanings(record).get(key)} == set()


def test_every_record_of_settings_is_shown() -> None:
    """No record of settings is left out of the reference."""
    found = {Settings}
    while more := {sub for each in found for sub in each.__subclasses__()} - found:
        found |= more
    assert {each for each in found - {Settings} if each.__module__.startswith("healerd.")} == set(RECORDS.values())


def test_bounds_are_the_words_of_the_refusal() -> None:
    """What the reference says a value must be is what the program says when it is not."""
    assert configuration.bounds(DaemonSettings)["tick"] == "above 0"
    with pytest.raises(ValueError, match="`tick` must be above 0"):
        DaemonSettings(tick=-1)
    assert configuration.bounds(HealingSettings)["sure"] == "in (0, 1)"
    with pytest.raises(ValueError, match=r"`sure` must be in \(0, 1\)"):
        HealingSettings(sure=1.5)
    assert configuration.bounds(ReferenceSettings)["reference"].startswith("either `path`")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0s"), (0.5, "500ms"), (90, "90s"), (1800, "30m"), (7 * 86400, "7d")]
)
def test_durations_are_written_as_people_write_them(seconds: float, said: str) -> None:
    """A default is shown in the largest unit that leaves a whole number."""
    assert configuration.say_duration(seconds) == said
