"""What the last days would have been with another text of one rule file: a small backtest, for whoever edits a number.

Must never write the text anywhere, nor keep it.
"""

from datetime import datetime, timedelta

from healerd.client.backtest import Period, backtest
from healerd.client.backtest.instead import instead_of
from healerd.client.firing import sources_of
from healerd.client.reproduce import SHIPPED, load_texts
from healerd.client.views import Json
from healerd.errors import ConfigError, NotFound
from healerd.store import Reader
from healerd_rules import render

__all__ = ["what_if"]

CHECKED = 20
DAY = timedelta(days=1)


def what_if(reader: Reader, name: str, *, rules_id: str, path: str, text: str, days: int, at: datetime) -> Json:
    """Try another text of the file `path` of a rule set that was in force. Raises ConfigError, NotFound, StoreError.

    `findings` holds what keeps the text from loading; then nothing else is told.
    """
    sources = sources_of(reader, rules_id)["sources"]
    if path.startswith(SHIPPED):
        raise ConfigError(f"`{path}` ships with healerd and stays as it is; write a rule of your own beside it")
    if path not in [one["path"] for one in sources]:
        raise NotFound(f"no text of `{path}` was kept for the rules {rules_id[:8]}")
    loaded = load_texts([{**one, "text": text} if one["path"] == path else one for one in sources])
    if loaded.ruleset is None:
        return {"schema": 1, "findings": render(loaded.errors, loaded.sources)}
    period = Period(pipeline=name, since=at - days * DAY, rules_id=rules_id)
    instead = instead_of(name=path, ruleset=loaded.ruleset)
    return {**backtest(reader, instead, period, checked=CHECKED), "findings": ""}
