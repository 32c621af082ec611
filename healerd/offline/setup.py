"""What a run needs before it opens a state folder: the stream, its first model, its settings. Must never write."""

from dataclasses import dataclass, replace

import numpy as np

from healerd.columns import Column
from healerd.daemon.rulebook import Rulebook
from healerd.offline.baselines import Fit
from healerd.offline.first import First, loss_for, train_first
from healerd.offline.score import data_of, metric_of
from healerd.offline.session import fit_for
from healerd.offline.settings import Settings, config_of
from healerd.offline.stream import Stream
from healerd.offline.teller import Teller
from healerd.profiles import Loss, losses, parse_loss

__all__ = ["Setup", "prepare"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setup:
    """A stream with its training function, its first model, and the settings of its run."""

    stream: Stream
    fit: Fit
    first: First
    settings: Settings

    @property
    def loss(self) -> Loss:
        """When a prediction is wrong."""
        return parse_loss(self.settings.loss)

    @property
    def held_out_losses(self) -> Column:
        """The losses of models of the past on the newest of the rows that trained the first model."""
        return losses(self.loss, self.first.held_out.output, self.first.held_out.label)


def prepare(stream: Stream, settings: Settings, teller: Teller) -> Setup:
    """Check the rules, train the first model, choose the loss, and say all that.

    Raises ConfigError, RulesError with the mend.
    """
    Rulebook(config_of(settings))
    data = data_of(stream)
    teller.say(f"{stream.path.name}: {data.rows:,} rows, {data.columns} columns, {data.from_[:10]} to {data.to[:10]}")
    for note in stream.notes:
        teller.say(f"  {note}")
    fit = fit_for(stream, settings.estimator)
    first = train_first(stream, fit)
    chosen = replace(settings, loss=settings.own.get("loss") or loss_for(stream, first))
    setup = Setup(stream=stream, fit=fit, first=first, settings=chosen)
    right = 1.0 - float(np.mean(setup.held_out_losses))
    teller.say(f"first model: {len(first.rows):,} rows; {metric_of(setup.loss).name} on held-out rows {right:.1%}")
    return setup
