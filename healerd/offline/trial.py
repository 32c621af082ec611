"""`healerd try`: the whole loop over a person's own table, with the plain ways of doing without it beside."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from healerd.clock import SystemClock
from healerd.columns import Column
from healerd.config import Config
from healerd.daemon.rulebook import Rulebook
from healerd.offline.baselines import Fit, Line, never, periodic, previous_label, same_count
from healerd.offline.contract import Baseline, EventRecord, Report, write_report, write_whole
from healerd.offline.first import First, loss_for, train_first
from healerd.offline.operators import SimulatedOperator
from healerd.offline.options import TryOptions
from healerd.offline.report_html import report_page
from healerd.offline.score import audit_of, counts_of, data_of, done_in, line_of, metric_of
from healerd.offline.session import Session, check_places, fit_for, open_session, state_folder
from healerd.offline.settings import Settings, config_of, make_config
from healerd.offline.story import SIMULATED_NOTE, TOLD, event_line, verdict
from healerd.offline.stream import Stream, load_stream
from healerd.offline.teller import Teller
from healerd.profiles import Loss, losses, parse_loss

__all__ = ["run_try"]

WEEK = 7
"""Windows between the retrainings of the baseline that spares nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """What a run needs besides its state folder."""

    stream: Stream
    fit: Fit
    first: First
    settings: Settings

    @property
    def loss(self) -> Loss:
        """When a prediction is wrong."""
        return parse_loss(self.settings.loss)


def run_try(options: TryOptions, teller: Teller | None = None) -> int:
    """Run the loop over a table, tell it, write what was asked for; give the exit code.

    Raises HealerdError, with the mend, before anything is written when the table, an option or the rules make no sense.
    """
    teller, watch = teller or Teller(), SystemClock()
    begun = watch.read().boot_s
    check_places(options.json, options.html)
    trial = prepare(options, teller)
    with state_folder(options.state) as folder:
        config = make_config(trial.settings, folder)
        with open_session(trial.stream, config, trial.first, operator=SimulatedOperator()) as session:
            teller.say(SIMULATED_NOTE)
            teller.say()
            events = session.play(teller, partial(_tell, teller))
            lines = list(_lines(trial, config, session, teller))
            report = _report(trial, session, lines, events, seconds=watch.read().boot_s - begun)
    for text in ("", *verdict(report)):
        teller.say(text)
    if options.json:
        write_report(report, options.json)
    if options.html:
        write_whole(options.html, report_page(report, lines, trial.stream))
    return 0 if report.audit.verified else 1


def prepare(options: TryOptions, teller: Teller) -> Trial:
    """Read the table, check the rules, train the first model, and say what was chosen."""
    stream = load_stream(options)
    settings = Settings(
        pipeline=stream.name,
        window_s=stream.window_s,
        label_horizon_s=0.0,
        loss="zero-one",
        rows_min=min(200, stream.first // 2),
        retrain_cost=options.retrain_cost,
        rules=options.rules,
        estimator=options.estimator,
        task=stream.task,
    )
    Rulebook(config_of(settings))
    _introduce(stream, teller)
    fit = fit_for(stream, options.estimator)
    first = train_first(stream, fit)
    trial = Trial(stream=stream, fit=fit, first=first, settings=settings.with_loss(loss_for(stream, first)))
    right = 1.0 - float(np.mean(held_out_losses(trial)))
    teller.say(f"first model: {len(first.rows):,} rows; {metric_of(trial.loss).name} on held-out rows {right:.1%}")
    return trial


def held_out_losses(trial: Trial) -> Column:
    """Give the losses of the models that left the row's block out."""
    return losses(trial.loss, trial.first.held_out.output, trial.first.held_out.label)


def _introduce(stream: Stream, teller: Teller) -> None:
    data = data_of(stream)
    teller.say(f"{stream.path.name}: {data.rows:,} rows, {data.columns} columns, {data.from_[:10]} to {data.to[:10]}")
    for note in stream.notes:
        teller.say(f"  {note}")


def _tell(teller: Teller, event: EventRecord) -> None:
    if event.kind in TOLD:
        teller.say(event_line(event))


def _lines(trial: Trial, config: Config, session: Session, teller: Teller) -> Iterator[Line]:
    """Play the baselines, and read what healerd did; the last line is healerd's."""
    stream, loss = trial.stream, trial.loss
    done = done_in(session.core.store, stream.name)
    healing = config.pipeline[stream.name].healing
    play = partial(
        periodic,
        stream,
        trial.first.model,
        loss,
        fit=trial.fit,
        train_windows=healing.train_windows,
        rows_min=healing.rows_min,
    )
    yield never(stream, trial.first.model, loss)
    if stream.task == "classification":
        yield previous_label(stream, loss)
    equal = same_count(stream, len(done.of("promote")))
    periods = sorted({WEEK, equal or WEEK})
    with teller.progress(len(periods), "baselines") as bar:
        for number, every in enumerate(periods, 1):
            yield play(every=every)
            bar.reach(number)
    yield line_of(session.core.store, stream, loss, retrains=len(done.of("promote")))


def _report(
    trial: Trial, session: Session, lines: list[Line], events: tuple[EventRecord, ...], *, seconds: float
) -> Report:
    *baselines, healerd = lines
    everything = np.ones(len(healerd.losses), np.bool_)
    done = done_in(session.core.store, trial.stream.name)
    return Report(
        data=data_of(trial.stream),
        baselines=tuple(
            Baseline(name=line.name, quality=line.quality(everything), retrains=line.retrains) for line in baselines
        ),
        healerd=counts_of(done, healerd.quality(everything)),
        metric=metric_of(trial.loss),
        events=events,
        audit=audit_of(session.core.store),
        seconds=seconds,
    )
