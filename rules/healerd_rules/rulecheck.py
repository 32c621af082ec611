"""Checks one rule and resolves it: targets, scope, conditions, terms, ranks, annotations.

It never compares rules with each other; that is the linter's part.
"""

from typing import assert_never

from healerd_rules import core, tree
from healerd_rules.context import Context, Place
from healerd_rules.core import Core
from healerd_rules.elaborate import Elaborator
from healerd_rules.module import Module
from healerd_rules.program import (
    GUARDS,
    PROPOSING,
    ApprovalTerms,
    BoundTerms,
    CompiledRule,
    NotifyTerms,
    RestTerms,
    Terms,
    VetoTerms,
)
from healerd_rules.schema import SEVERITIES, Type
from healerd_rules.vocabulary import usable
from healerd_rules.words import did_you_mean, letters_apart

# What `if unknown` may say where: anything else would let unknown data loosen a rule.
POLICIES = {
    "permit": ("skips",),
    "propose": ("skips",),
    "last resort": ("skips",),
    "forbid": ("fires", "skips"),
    "require": ("fires", "skips", "asks"),
    "notify": ("fires", "skips"),
}
ANNOTATIONS = ("enforce", "owner", "ticket")
ENFORCEMENTS = ("hard", "soft", "advisory")
SOFT_KINDS = ("forbid", "cooldown", "limit")
MAX_SCOPE_DEPTH = 50
PIPELINE = "pipeline"
SLIP_LETTERS = 2
"""So many letters off, a group is taken for a slip; further off, somebody may have such tags."""


class RuleChecker:
    """Checks the rules of one module."""

    def __init__(self, elaborator: Elaborator, module: Module) -> None:
        self.elaborator = elaborator
        self.module = module
        self.findings = module.findings

    def compile(self, rule: tree.Rule) -> CompiledRule | None:
        """The rule ready to be evaluated; None when a part of it was reported."""
        before = sum(found.severity == "error" for found in self.findings.found)
        usable(rule.name, self.module)
        place = Place.GUARD if rule.kind in GUARDS else Place.PLAIN
        context = Context(self.module, place)
        actions = self._targets(rule)
        scope = None if rule.on is None else self.scope(rule.on, ())
        condition = self._condition(rule, context)
        terms = self._terms(rule, context)
        self._unpriced(rule, terms)
        notes = self._annotations(rule)
        ranks = self._ranks(rule)
        unknown = self._policy(rule)
        if condition is None or sum(found.severity == "error" for found in self.findings.found) > before:
            return None
        line, _ = self.module.source.place(rule.name.span.start)
        return CompiledRule(
            id=self.module.rule_id(rule.name.text),
            name=rule.name.text,
            kind=rule.kind,
            actions=actions,
            scope=scope,
            condition=condition,
            unknown=unknown,
            terms=terms,
            priority=int(ranks.get("priority", "0")),
            severity=ranks.get("severity", "medium"),
            because=rule.because,
            owner=notes.get("owner", ""),
            ticket=notes.get("ticket", ""),
            enforcement=notes.get("enforce", "hard"),
            path=self.module.source.path,
            line=line,
            text=self.module.source.text[rule.span.start : rule.span.end],
        )

    def _targets(self, rule: tree.Rule) -> frozenset[str] | None:
        if rule.targets is None:
            if rule.kind in PROPOSING:
                mend = "name the action to take"
                self.findings.error("target", rule.name.span, f"`{rule.kind} {rule.name.text}` names no action", mend)
            return None
        for name in rule.targets:
            self._action(name)
        return frozenset(name.text for name in rule.targets)

    def _action(self, name: tree.Ident) -> None:
        actions = self.elaborator.vocabulary.actions
        if name.text not in actions:
            self.elaborator.unknown("action", name, Context(self.module, Place.PLAIN), tuple(actions))

    # scopes ------------------------------------------------------------

    def scope(self, scope: tree.ScopeExpr, inside: tuple[str, ...]) -> tree.ScopeExpr:
        """The scope with the names of others filled in; `inside` are the names being filled in."""
        if isinstance(scope, tree.ScopeLogic):
            return tree.ScopeLogic(scope.span, scope.op, tuple(self.scope(s, inside) for s in scope.operands))
        if scope.kind != "ref":
            return scope
        home = self.module.names.get(scope.text)
        if home is None or not isinstance(home.definition, tree.ScopeDecl):
            names = (n for n, h in self.module.names.items() if isinstance(h.definition, tree.ScopeDecl))
            ident = tree.Ident(scope.text, scope.span)
            self.elaborator.unknown("scope", ident, Context(self.module, Place.PLAIN), tuple(names))
            return scope
        if scope.text in inside or len(inside) > MAX_SCOPE_DEPTH:
            self.findings.error("cycle", scope.span, f"the scope `{scope.text}` needs itself, or too many others")
            return scope
        other = self if home.module is self.module else RuleChecker(self.elaborator, home.module)
        return other.scope(home.definition.body, (*inside, scope.text))

    # conditions --------------------------------------------------------

    def _condition(self, rule: tree.Rule, context: Context) -> Core | None:
        nodes: list[Core] = []
        for cond in rule.conds:
            node = self.elaborator.truth(cond.expr, context)
            if node is not None:
                nodes.append(node if cond.kind == "when" else core.Logic("not", (node,)))
        if len(nodes) < len(rule.conds):
            return None
        if not nodes:
            return core.TRUE
        return nodes[0] if len(nodes) == 1 else core.Logic("and", tuple(nodes))

    def _policy(self, rule: tree.Rule) -> str:
        for policy in rule.unknown:
            allowed = POLICIES.get(rule.kind, ())
            if policy.word not in allowed:
                mend = f"in a {rule.kind}: " + (" or ".join(f"`{word}`" for word in allowed) or "nothing")
                message = f"`if unknown {policy.word}` would let missing data loosen this {rule.kind}"
                self.findings.error("unknown-policy", policy.span, message, mend)
        if len(rule.unknown) > 1:
            self.findings.error("duplicate", rule.unknown[1].span, "`if unknown` is said twice")
        return rule.unknown[0].word if rule.unknown else ""

    # terms -------------------------------------------------------------

    def _terms(self, rule: tree.Rule, context: Context) -> Terms:
        terms = rule.terms
        match terms:
            case None:
                return None
            case tree.Approval():
                within = None if terms.within is None else self._seconds(terms.within, context)
                if not terms.role:
                    self.findings.error("value", terms.span, "the role that approves has no name")
                return ApprovalTerms(role=terms.role, within_s=within, otherwise=terms.otherwise)
            case tree.VetoWindow():
                return VetoTerms(within_s=self._seconds(terms.within, context))
            case tree.Rest():
                return self._rest(terms, context)
            case tree.Bound():
                return self._bound(terms, context)
            case tree.Channel():
                repeat = None if terms.repeat is None else self._seconds(terms.repeat, context)
                return NotifyTerms(channel=terms.target, repeat_s=repeat)
        assert_never(terms)

    def _seconds(self, expr: tree.Expr, context: Context) -> float:
        found = self.elaborator.constant(expr, context, (Type.DURATION,))
        if found is not None and not 0 < float(found.value) <= 366 * 86400:
            self.findings.error(
                "value", expr.span, f"`{context.text(expr.span)}` must be longer than 0 and up to a year"
            )
        return 0.0 if found is None else float(found.value)

    def _rest(self, rest: tree.Rest, context: Context) -> RestTerms:
        windows, seconds = self.elaborator.extent(rest.length, context) or (1, 0.0)
        for name in rest.after or ():
            self._action(name)
        after = None if rest.after is None else frozenset(name.text for name in rest.after)
        return RestTerms(length_s=seconds, windows=windows, per=self._per(rest.per), after=after)

    def _bound(self, bound: tree.Bound, context: Context) -> BoundTerms:
        kinds = {"per_window": (Type.NUMBER, Type.MONEY), "concurrent": (Type.NUMBER,)}
        found = self.elaborator.constant(bound.amount, context, kinds.get(bound.kind, (Type.RATIO, Type.NUMBER)))
        windows, seconds = (
            (0, 0.0) if bound.period is None else self.elaborator.extent(bound.period, context) or (0, 0.0)
        )
        per = None if bound.per is None else bound.per.text if bound.kind == "blast" else self._per(bound.per)
        if bound.kind == "blast" and per != "pipelines":
            span = bound.per.span if bound.per else bound.span
            self.findings.error(
                "target", span, f"a share is taken of the fleet, not of `{per}`", "write `of pipelines`"
            )
        kind = {"concurrent": "concurrent", "blast": "fleet"}.get(bound.kind, "count")
        if found is not None and found.type is Type.MONEY:
            kind = "money"
        share = found is not None and found.type is Type.RATIO
        amount = 0.0 if found is None else float(found.value)
        if (
            amount < 0
            or (share and amount > 1)
            or (kind in ("count", "concurrent", "fleet") and not share and amount % 1)
        ):
            self.findings.error("value", bound.amount.span, f"`{context.text(bound.amount.span)}` is no bound")
        if kind == "fleet":
            per = None
        return BoundTerms(kind=kind, amount=amount, share=share, period_s=seconds, windows=windows, per=per)

    def _per(self, per: tree.Ident | None) -> str | None:
        """What records are grouped by: the pipeline, or tags of that prefix, unless it is a slip for `pipeline`."""
        if per is not None and per.text != PIPELINE and (mend := did_you_mean(per.text, (PIPELINE,))):
            slip = letters_apart(per.text, PIPELINE) <= SLIP_LETTERS
            report = self.findings.error if slip else self.findings.warning
            report("unknown-name", per.span, f"`per {per.text}` would group by tags `{per.text}:...`", mend)
        return per.text if per else None

    def _unpriced(self, rule: tree.Rule, terms: Terms) -> None:
        """Report a limit on money over a heal whose price no file says: unknown spend bars it for good."""
        if not isinstance(terms, BoundTerms) or terms.kind != "money":
            return
        named = None if rule.targets is None else {name.text for name in rule.targets}
        for action in self.elaborator.vocabulary.actions.values():
            if action.cost is None and not action.step and (named is None or action.name in named):
                message = f"`{rule.name.text}` counts money, and no file says what `{action.name}` costs"
                mend = (
                    f"write `action {action.name} cost $40`, or give `actions.{action.name}.cost` in the configuration"
                )
                self.findings.warning("price", rule.name.span, message, mend)

    # ranks and annotations -----------------------------------------------

    def _ranks(self, rule: tree.Rule) -> dict[str, str]:
        ranks: dict[str, str] = {}
        for rank in rule.ranks:
            if rank.kind in ranks:
                self.findings.error("duplicate", rank.span, f"`{rank.kind}` is said twice")
            if rank.kind == "severity" and rank.value not in SEVERITIES:
                mend = did_you_mean(rank.value, SEVERITIES) or "the severities are " + ", ".join(SEVERITIES)
                self.findings.error("value", rank.span, f"there is no severity `{rank.value}`", mend)
            if rank.kind == "priority" and len(rank.value) > 6:
                self.findings.error("value", rank.span, "a priority has at most six digits")
                continue
            ranks[rank.kind] = rank.value
        return ranks

    def _annotations(self, rule: tree.Rule) -> dict[str, str]:
        notes: dict[str, str] = {}
        for note in rule.annotations:
            name, span = note.name.text, note.name.span
            if name not in ANNOTATIONS:
                mend = did_you_mean(name, ANNOTATIONS) or "`@enforce(...)`, `@owner(...)`, `@ticket(...)`"
                self.findings.error("annotation", span, f"there is no annotation `@{name}`", mend)
            elif note.value is None:
                self.findings.error("annotation", span, f"`@{name}` needs a value", f'for example `@{name}("...")`')
            elif name in notes:
                self.findings.error("annotation", span, f"`@{name}` is said twice")
            elif name == "enforce":
                self._enforcement(note.value, span, rule)
            notes[name] = note.value or ""
        return notes

    def _enforcement(self, value: str, span: tree.Span, rule: tree.Rule) -> None:
        if value not in ENFORCEMENTS:
            self.findings.error("annotation", span, f"there is no enforcement `{value}`", "hard, soft or advisory")
        elif rule.kind not in GUARDS or rule.kind == "permit":
            self.findings.error("annotation", span, f"`@enforce` has no meaning on a {rule.kind}")
        elif value == "soft" and rule.kind not in SOFT_KINDS:
            mend = "a person decides there anyway; choose `hard` or `advisory`"
            self.findings.error("annotation", span, f"a {rule.kind} cannot be soft", mend)
