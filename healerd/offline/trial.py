"""`healerd try`: the whole loop over a person's own table, with the plain ways of doing without it beside.

Must never change the table, nor leave anything behind that was not asked for.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from healerd.clock import SystemClock
from healerd.offline.beside import play_beside
from healerd.offline.contract import EventRecord, write_report, write_whole
from healerd.offline.operators import SimulatedOperator
from healerd.offline.options import TryOptions
from healerd.offline.registry_place import registry_place, said_by_server
from healerd.offline.report_html import report_page
from healerd.offline.result import lines_of, report_of, task_of
from healerd.offline.session import check_places, open_session, state_folder
from healerd.offline.settings import Settings, make_config, taken_from
from healerd.offline.setup import prepare
from healerd.offline.story import SIMULATED_NOTE, event_line, is_told, verdict
from healerd.offline.stream import Stream, load_stream
from healerd.offline.teller import Teller

__all__ = ["run_try"]

WEEK = 7
"""Windows between the retrainings of the baseline that spares nothing."""


def run_try(options: TryOptions, teller: Teller | None = None) -> int:
    """Run the loop over a table, tell it, write what was asked for; give the exit code.

    Raises HealerdError, with the mend, before anything is written when the table, an option or the rules make no sense.
    """
    teller, watch = teller or Teller(), SystemClock()
    begun = watch.read().boot_s
    check_places(options.json, options.html)
    stream = load_stream(options)
    setup = prepare(stream, _settings(options, stream), teller)
    with (
        state_folder(options.state) as folder,
        registry_place(options.registry, folder, stream.name, teller) as place,
    ):
        config = make_config(replace(setup.settings, registry=place), folder)
        with (
            open_session(stream, config, setup.first, operator=SimulatedOperator()) as session,
            play_beside(task_of(setup, config), [WEEK]) as beside,
        ):
            teller.say(f"{SIMULATED_NOTE}\n")
            events = session.play(teller, partial(_tell, teller))
            lines = list(lines_of(setup, session, beside, played=[WEEK]))
            everything = np.ones(len(stream) - stream.first, np.bool_)
            seconds = watch.read().boot_s - begun
            report = report_of(setup, session, lines, events, judged=everything, seconds=seconds)
        told = () if place is None else said_by_server(config, stream.name)
    for text in ("", *verdict(report), *told):
        teller.say(text)
    if options.json:
        write_report(report, options.json)
    if options.html:
        write_whole(options.html, report_page(report, lines, stream))
    return 0 if report.audit.verified else 1


def _settings(options: TryOptions, stream: Stream) -> Settings:
    """Put the settings together: a default, in its place what the configuration says, in its place an option."""
    own = taken_from(options.config, pipeline=options.pipeline) if options.config else {}
    if options.rules:
        own = {**own, "rules": [str(options.rules.absolute())]}
    return Settings(
        pipeline=stream.name,
        window_s=stream.window_s,
        label_horizon_s=0.0,
        loss="zero-one",
        rows_min=min(200, stream.first // 2),
        retrain_cost=options.retrain_cost,
        rules=options.rules,
        estimator=options.estimator,
        task=stream.task,
        own=own,
    )


def _tell(teller: Teller, event: EventRecord) -> None:
    if is_told(event, to_person=False):
        teller.say(event_line(event))
