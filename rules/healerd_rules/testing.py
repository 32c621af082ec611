"""Runs the `test` blocks of a rule set: each passes, or fails at a step, with what came out instead and why.

It never reads a file, a clock or chance: the same rule set gives the same report.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from healerd_rules import core
from healerd_rules.coverage import Coverage, Watcher
from healerd_rules.evaluation import evaluate
from healerd_rules.expectations import Scene, came_true, outcome, reasons
from healerd_rules.explanation import describe, describe_leaf
from healerd_rules.inputs import Inputs, SignalState
from healerd_rules.play import Player, remembering
from healerd_rules.program import RuleSet
from healerd_rules.script import Expected, Script, Step
from healerd_rules.verdicts import Verdict
from healerd_rules.walk import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The step at which a test failed: what was expected, what came out, and the reasons, a line each."""

    path: str
    line: int
    expected: str
    outcome: str
    reasons: tuple[str, ...] = ()

    def prose(self) -> str:
        """The failure in plain lines."""
        return "\n".join((f"{self.path}:{self.line}: {self.expected}", f"  but {self.outcome}", *self.reasons))

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "path": self.path,
            "line": self.line,
            "expected": self.expected,
            "outcome": self.outcome,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One test; without a failure it passed."""

    title: str
    path: str
    line: int
    failure: Failure | None

    def to_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        failure = None if self.failure is None else self.failure.to_json()
        return {
            "title": self.title,
            "path": self.path,
            "line": self.line,
            "passed": self.failure is None,
            "failure": failure,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All tests that ran, and what they have seen of the rules."""

    results: tuple[Result, ...]
    coverage: Coverage

    @property
    def failed(self) -> tuple[Result, ...]:
        """The tests that failed."""
        return tuple(result for result in self.results if result.failure is not None)


def run_tests(ruleset: RuleSet, *, files: Collection[str], about: Collection[str] | None = None) -> Report:
    """Run the tests that stand in `files` (paths as in findings); coverage is of the rules in `about`, else there.

    Tests of imported files do not run: what a file adds may well forbid what the imported one alone allows.
    """
    watcher = Watcher(ruleset)
    results = tuple(run_test(ruleset, script, watcher) for script in ruleset.tests if script.path in files)
    return Report(results=results, coverage=watcher.coverage(files if about is None else about))


def run_test(ruleset: RuleSet, script: Script, watcher: Watcher | None = None) -> Result:
    """Run one test up to the first step that fails; a broken invariant fails it too."""
    failure = _Run(ruleset, script, watcher).failure()
    return Result(title=script.title, path=script.path, line=script.line, failure=failure)


@dataclass(slots=True)
class _Run:
    ruleset: RuleSet
    script: Script
    watcher: Watcher | None
    broken: list[tuple[int, str, tuple[str, ...]]] = field(default_factory=list)

    def failure(self) -> Failure | None:
        remembered = remembering(self.ruleset, self.script)
        player = Player(remembered, look=lambda inputs, state: self._look(inputs, state, player))
        for step in self.script.steps:
            failure = self._step(step, player)
            if failure is not None:
                return failure
        self._look(*player.seen(), player)
        last = self.script.steps[-1:]
        return self._broken(last[0]) if last else None

    def _step(self, step: Step, player: Player) -> Failure | None:
        impossible = player.step(step.said)
        if impossible:
            return self._failed(step, step.text, impossible)
        if isinstance(step.said, Expected) and not self.broken:
            scene = self._look(*player.seen(), player)
            if not self.broken and not came_true(step.said, scene):
                return self._failed(step, step.text, outcome(step.said, scene), reasons(step.said, scene))
        return self._broken(step)

    def _broken(self, step: Step) -> Failure | None:
        if not self.broken:
            return None
        number, text, why = self.broken[0]
        path, line = self.ruleset.invariant_places[number]
        name = self.ruleset.invariants[number][0].name.text
        return self._failed(step, f"invariant {name} ({path}:{line}) holds after `{step.text}`", text, why)

    def _failed(self, step: Step, expected: str, came: str, why: tuple[str, ...] = ()) -> Failure:
        return Failure(path=self.script.path, line=step.line, expected=expected, outcome=came, reasons=why)

    def _look(self, inputs: Inputs, state: SignalState, player: Player) -> Scene:
        """What the rules say at one moment; invariants and coverage see every one of them."""
        sure = {action.name: player.confidence for action in self.ruleset.actions}
        answer = evaluate(self.ruleset, inputs, state, confidence=sure)
        scene = Scene(ruleset=self.ruleset, inputs=inputs, state=state, confidence=player.confidence, answer=answer)
        if self.watcher is not None:
            self.watcher.look(inputs, state, player.confidence)
        self._check_invariants(scene)
        return scene

    def _check_invariants(self, scene: Scene) -> None:
        """An invariant that is not definitely true is broken: what is unknown counts against it."""
        runs = autonomous(scene.answer.verdicts)
        for number, (_, node) in enumerate(self.ruleset.invariants):
            walk = Walk(scene.inputs, scene.state.strict, False, confidence=scene.confidence, autonomous=runs)
            truth = walk.truth(node)
            if truth is not True:
                verdicts = scene.answer.verdicts
                about = {part.argument for part in core.distinct(node) if _asks(part)}
                named = [name for name in verdicts if name in about or ("*" in about and runs[name])]
                why = (
                    *(f"  {name} is {describe(verdicts[name])}" for name in named),
                    *(f"  {describe_leaf(leaf)}" for leaf in walk.leaves),
                )
                said = "it is false" if truth is False else "it is unknown"
                self.broken.append((number, f"{said} at {scene.inputs.now:%Y-%m-%d %H:%M}", why))


def _asks(node: core.Core) -> TypeGuard[core.Ask]:
    return isinstance(node, core.Ask) and node.function == "autonomous"


def autonomous(verdicts: Mapping[str, Verdict]) -> dict[str, bool]:
    """Which actions would run without a person's word; `*` is whether any would."""
    runs = {name: verdict.autonomous for name, verdict in verdicts.items()}
    return {**runs, "*": any(runs.values())}
