"""Checks test blocks and resolves them: every name exists, every value has the type of what it is given to.

It never runs a test.
"""

import datetime as dt
from dataclasses import dataclass

from healerd_rules import core, tree
from healerd_rules.calendars import read_date, read_minute
from healerd_rules.context import Context, Place
from healerd_rules.elaborate import Elaborator
from healerd_rules.module import Module
from healerd_rules.program import CompiledRule
from healerd_rules.schema import Type
from healerd_rules.script import Done, Expected, Given, Moment, Pass, Said, Script, Step, Where
from healerd_rules.units import comparable
from healerd_rules.words import did_you_mean

BUILTIN_TYPES = {"confidence": Type.RATIO, "stage": Type.TEXT, "incident": Type.BOOL, "pipelines": Type.COUNT}
NO_PERMIT = "default"
"""The name under which verdicts say that no permit holds."""
YEARS = range(1970, 2200)
"""In which a test may be; whatever is added to or taken from a moment stays one."""
MAX_AGO_S = 100 * 365 * 86400.0


def check_test(
    test: tree.TestBlock, module: Module, elaborator: Elaborator, rules: tuple[CompiledRule, ...]
) -> Script | None:
    """The test ready to be played; None when it names something in vain, which is reported."""
    checker = _Checker(elaborator, Context(module, Place.GUARD), rules)
    steps = [checker.step(step) for step in test.steps]
    found = tuple(step for step in steps if step is not None)
    line, _ = module.source.place(test.span.start)
    whole = len(found) == len(steps)
    return Script(title=test.title, path=module.source.path, line=line, steps=found) if whole else None


@dataclass(frozen=True, slots=True)
class _Checker:
    elaborator: Elaborator
    context: Context
    rules: tuple[CompiledRule, ...]

    def step(self, step: tree.TestStep | tree.Binding) -> Step | None:
        said = self._given(step) if isinstance(step, tree.Binding) else self._said(step)
        source = self.context.module.source
        line, _ = source.place(step.span.start)
        text = source.slice(step.span)
        shown = f"given {text}" if isinstance(step, tree.Binding) else text
        return None if said is None else Step(line=line, text=shown, said=said)

    def _said(self, step: tree.TestStep) -> Said | None:
        match step.kind:
            case "on":
                return Where(pipeline=step.text, tags=step.tags)
            case "at":
                return self._moment(step)
            case "advance":
                extent = self.elaborator.extent(step.values[0], self.context)
                return None if extent is None else Pass(windows=extent[0], seconds=extent[1])
            case "did" | "doing":
                return self._done(step)
            case "signal" | "unknown":
                return self._signal(step)
            case _:
                return self._verdict(step)

    def _moment(self, step: tree.TestStep) -> Moment | None:
        date, time = step.words
        try:
            day, minute = read_date(date.text), read_minute(time.text)
        except ValueError as error:
            self.context.error("value", step.span, str(error))
            return None
        if day.year not in YEARS:
            mend = f"choose a year from {YEARS[0]} to {YEARS[-1]}"
            self.context.error("value", step.span, f"`{date.text}` is too far away", mend)
            return None
        midnight = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
        return Moment(at_s=(midnight + dt.timedelta(minutes=minute)).timestamp())

    def _done(self, step: tree.TestStep) -> Done | None:
        action, ago = step.words[0], self._seconds(step.values[0]) if step.values else 0.0
        if not self._action(action) or ago is None:
            return None
        where = step.elsewhere
        return Done(
            action=action.text,
            ago_s=ago,
            is_open=step.kind == "doing",
            pipeline=None if where is None else where.pipeline,
            tags=() if where is None else where.tags,
            in_incident=where is not None and where.pipeline is None,
        )

    def _seconds(self, expr: tree.Expr) -> float | None:
        found = self.elaborator.constant(expr, self.context, (Type.DURATION,))
        if found is not None and not 0 <= float(found.value) <= MAX_AGO_S:
            self.context.error("value", expr.span, f"`{self.context.text(expr.span)}` is too long", "at most 100 years")
            return None
        return None if found is None else float(found.value)

    def _signal(self, step: tree.TestStep) -> Expected | None:
        name = step.words[0]
        home = self.context.module.names.get(name.text)
        if home is None or not isinstance(home.definition, tree.Signal | tree.Let):
            signals = (n for n, h in self.context.module.names.items() if isinstance(h.definition, tree.Signal))
            self.elaborator.unknown("signal", name, self.context, tuple(signals))
            return None
        node = self.elaborator.truth(tree.Ref(name.span, name.text), self.context)
        by = self._by(step)
        if node is None or by is None:
            return None
        if core.mentions(node, core.Confidence):
            self.context.error("confidence", name.span, f"`{name.text}` is no signal: it asks for `confidence`")
            return None
        return Expected(kind=step.kind, name=name.text, negated=step.negated, node=node)

    def _verdict(self, step: tree.TestStep) -> Expected | None:
        by = self._by(step)
        if step.kind == "notify":
            return None if by is None else Expected(kind="notify", name=step.text, negated=step.negated, by=by)
        level, action = step.words
        known, within_s = self._action(action), None
        if step.asked.within is not None:
            within_s = self._seconds(step.asked.within)
            known = known and within_s is not None
        before = step.asked.before
        if before is not None:
            known = self._action(before) and known
            if level.text != "proposed":
                mend = f"write `expect proposed {action.text} before {before.text}`"
                self.context.error("target", before.span, "only proposals are ranked", mend)
        if not known or by is None:
            return None
        return Expected(
            kind="proposed" if level.text == "proposed" else "verdict",
            name=action.text,
            negated=step.negated,
            by=by,
            level=level.text,
            role=step.asked.role,
            within_s=within_s,
            otherwise=step.asked.otherwise,
            before=None if before is None else before.text,
        )

    def _action(self, name: tree.Ident) -> bool:
        actions = self.elaborator.vocabulary.actions
        if name.text not in actions:
            self.elaborator.unknown("action", name, self.context, tuple(actions))
        return name.text in actions

    def _by(self, step: tree.TestStep) -> tuple[str, ...] | None:
        found = [self._rule(name) for name in step.by]
        known = tuple(rule for rule in found if rule is not None)
        return known if len(known) == len(found) else None

    def _rule(self, name: tree.Ident) -> str | None:
        """The identity of a rule: of this file first, then the one said in full, then the only one of that name."""
        identities = {rule.id for rule in self.rules} | {NO_PERMIT}
        for identity in (self.context.module.rule_id(name.text), name.text):
            if identity in identities:
                return identity
        found = sorted({rule.id for rule in self.rules if rule.name == name.text})
        if len(found) == 1:
            return found[0]
        if found:
            mend = "say which: " + " or ".join(f"`{identity}`" for identity in found)
            self.context.error("unknown-name", name.span, f"several rules are called `{name.text}`", mend)
        elif not self.context.module.may_define(name.text):
            known = {*identities, *(rule.name for rule in self.rules)}
            self.context.error("unknown-name", name.span, f"unknown rule `{name.text}`", did_you_mean(name.text, known))
        return None

    # given -----------------------------------------------------------------

    def _given(self, binding: tree.Binding) -> Given | None:
        target = self._target(binding)
        if target is None:
            return None
        kind, name, wanted, per = target
        if (per is None) != (binding.member is None):
            shape = f"`{name}[{per}]`" if per else f"`{name}`"
            self.context.error("dimension", binding.span, f"a value is given to {shape}")
            return None
        given = None if binding.value is None else self.elaborator.expression(binding.value, self.context)
        if given is not None and not comparable(wanted, given.type, "=="):
            self.context.error("type", binding.span, f"`{name}` is {wanted.value}, not {given.type.value}")
            return None
        value = given.value if isinstance(given, core.Const) else None
        return Given(kind=kind, name=name, member=binding.member, value=value)

    def _target(self, binding: tree.Binding) -> tuple[str, str, Type, str | None] | None:
        """What is given a value: its kind, name, type, and the dimension it is measured over."""
        name, vocabulary = binding.name, self.elaborator.vocabulary
        if binding.argument is not None:
            return self._called(name, binding.argument)
        fact = vocabulary.facts.get(name.text)
        if fact is not None:
            return "fact", fact.name, Type(fact.type), fact.per
        if name.text in BUILTIN_TYPES:
            return name.text, name.text, BUILTIN_TYPES[name.text], None
        self.elaborator.unknown("metric", name, self.context, (*vocabulary.facts, *BUILTIN_TYPES))
        return None

    def _called(self, name: tree.Ident, argument: tree.Ident) -> tuple[str, str, Type, str | None] | None:
        vocabulary = self.elaborator.vocabulary
        if name.text == "alarm":
            if argument.text in vocabulary.alarms:
                return "alarm", argument.text, Type.BOOL, None
            self.elaborator.unknown("alarm", argument, self.context, tuple(vocabulary.alarms))
        elif name.text == "baseline":
            fact = vocabulary.facts.get(argument.text)
            if fact is not None:
                return "fact", f"baseline({fact.name})", Type(fact.type), fact.per
            self.elaborator.unknown("metric", argument, self.context, tuple(vocabulary.facts))
        else:
            mend = "the action log is written with `did` and `doing`"
            self.context.error("unknown-name", name.span, f"`{name.text}` cannot be given a value", mend)
        return None
