"""The table of verbs, each loaded only when it is called, and the one place where errors become exit codes.

Must never import a verb to print the list of verbs: the short helps stand in the table, and a test compares.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import click

from healerd import __version__
from healerd.cli.exits import Exit
from healerd.cli.lazy import LazyGroup, Sections
from healerd.cli.show import inert
from healerd.errors import HealerdError

__all__ = ["VERBS", "cli", "invoke", "main"]

SECTIONS: Sections = {
    "Look": {
        "status": ("status:status", "Show every pipeline at a glance, or one in detail."),
        "tui": ("tui:tui", "See everything live, and answer what waits, in a terminal."),
        "watch": ("watch:watch", "Follow what healerd sees, decides and does, as it happens."),
        "inbox": ("inbox:inbox", "List what waits for a person, the most pressing first."),
        "review": ("inbox:review", "Show one intent with its evidence, and answer it in a terminal."),
        "trace": ("trace:trace", "List decisions, show, explain or compare them, and say why something was not done."),
        "report": ("report:report", "Report what was found, done and mended, and how fast, from the log alone."),
    },
    "Decide": {
        "approve": ("answer:approve", "Let an intent run that waits for consent."),
        "veto": ("answer:veto", "Stop an intent, or lift an earlier veto."),
        "resolve": ("answer:resolve", "Say whether an effect is there that healerd cannot tell."),
        "propose": ("steer:propose", "Ask for a heal, under the same rules as any other."),
        "pause": ("steer:pause", "Stop healing one pipeline."),
        "resume": ("steer:resume", "End a pause, or a stop of everything."),
        "stop-all": ("steer:stop_all", "Stop everything, even when the daemon hangs."),
        "policy": ("policy:policy", "Show how far a pipeline is trusted, or change it."),
    },
    "Check": {
        "rules": ("rules:rules", "Check, test, prove and compare rule files, explain a verdict, or count what fired."),
        "audit": ("audit:audit", "Verify, prove, export or search the record of everything that happened."),
        "replay": (
            "replay:replay",
            "Decide every recorded decision again.",
        ),
        "backtest": ("backtest:backtest", "Show what other rules, another policy, gate or costs would have done."),
        "source": ("source:source", "Look at where predictions, labels and metrics come from."),
        "doctor": ("doctor:doctor", "Check the installation and say what to mend."),
    },
    "Try": {
        "detect": ("detect:detect", "Report what changed in a table, or score the points of a series."),
        "reference": ("reference:reference", "Fit what files are compared with, and show it."),
        "try": ("offline:try_", "Run the whole loop over a table of your own, offline."),
        "demo": ("offline:demo", "Watch the whole loop on a year of real flights."),
    },
    "Run": {
        "init": (
            "init:init",
            "Propose configuration and rules that fit a table or a running model, and examine them.",
        ),
        "run": ("run:run", "Run the daemon in the foreground."),
        "serve": ("serve:serve", "Serve the registries' models over HTTP, and record what they answer."),
        "labels": ("labels:labels", "Send late labels to the gateway."),
        "service": (
            "service:service",
            "Install, look at, print or uninstall the unit of systemd.",
        ),
        "deploy": ("deploy:deploy", "Write the files of a deployment; nothing is deployed."),
        "backup": ("keep:backup", "Copy the state into a folder, or a .tar or .tar.gz file, while the daemon runs."),
        "restore": ("keep:restore", "Put a backup in the place of the state; the daemon must be stopped."),
        "prune": ("keep:prune", "Let go of raw rows and bodies of entries that are old; stop the daemon first."),
        "version": ("about:version", "Print the version."),
        "completion": ("about:completion", "Print the completion script of a shell."),
    },
}
VERBS: Mapping[str, tuple[str, str]] = {verb: row for rows in SECTIONS.values() for verb, row in rows.items()}
"""Verb -> (module:function, short help)."""

RUN_USAGE = 64
"""`healerd run` ends as a service manager expects (sysexits.h)."""


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    package="healerd.cli",
    help="Watch a model in production, decide what to do about it, do it, and show why it was safe.",
    epilog="Each verb has its own --help. What is running lies in the state folder: --state DIR, or --config FILE.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, message="healerd %(version)s")
def cli() -> None:
    """Hold the verbs together; does nothing itself."""


def main() -> NoReturn:
    """Run the command line and end the process."""
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: Sequence[str]) -> int:
    """Run one verb and give its exit code; what went wrong is on stderr."""
    out = sys.stdout
    try:
        code = cli.main(list(arguments), prog_name="healerd", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return _usage_code(arguments) if isinstance(error, click.UsageError) else Exit.FAILED
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except (BrokenPipeError, SystemExit) as end:
        # Click ends the process itself when the pipe closes within a verb, and puts a wrapper around the output.
        if isinstance(end, SystemExit) and sys.stdout is out:
            raise
        # Whoever read our output has had enough; without this, the interpreter complains on its way out.
        sys.stdout = None
        return Exit.OK
    except HealerdError as error:
        click.echo(inert(f"healerd: {error}"), err=True)
        return error.exit_code
    except PermissionError as error:
        mend = "ask its owner, or whoever runs the daemon, to put you into its group"
        click.echo(inert(f"healerd: `{error.filename}` is not open to you: {mend}"), err=True)
        return Exit.NOT_ALLOWED
    except OSError as error:
        place = f"`{error.filename}`: " if error.filename else ""
        click.echo(inert(f"healerd: {place}{error.strerror or error}"), err=True)
        _let_go_of_output()
        return Exit.FAILED
    return int(code or 0)


def _let_go_of_output() -> None:
    """Drop what cannot be printed: the interpreter would try once more on its way out, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = None


def _usage_code(arguments: Sequence[str]) -> int:
    return RUN_USAGE if arguments and arguments[0] == "run" else Exit.USAGE
