"""`decide`: the one function that runs the line, from a situation and a rule set to a decision.

    facts -> guards, confidence free -> permitted -> rule's action -> policy's candidate -> gate
          -> guards, confidence known -> act, announce, ask, defer or hold

Must never act, wait, read a clock or draw a random number; and what comes after the guards can only hold.
"""

from healerd.decision.choice import Choice, choose
from healerd.decision.record import record
from healerd.decision.situation import Situation
from healerd.decision.view import View, look, second_pass
from healerd.decision.words import LEVELS, main_reason, not_in_rules
from healerd.model import AUTONOMOUS_FROM, HOLD, Decision
from healerd_rules import ALLOWED, Level, RuleSet, Verdict

__all__ = ["decide"]


def decide(situation: Situation, ruleset: RuleSet, *, gate: float | None = None, traced: bool = True) -> Decision:
    """Decide what is done about a pipeline now. The answer `hold` is a value with its reason, never an exception.

    `gate` is how sure the policy must be to replace the rule's action, where it is not to be the one in force. Only a
    backtest asks with another one, or without the trace, which takes longer to write down than the decision to make.
    """
    view = look(situation, ruleset)
    choice = choose(view, gate=gate)
    if choice.chosen == HOLD:
        return record(view, choice, _blocked_verdict(view, choice), _why_hold(view, choice), acts=False, traced=traced)
    verdict = second_pass(view, choice.chosen, choice.confidence)
    waiting = _same_waiting(view, choice.chosen)
    if waiting:
        return record(view, choice, verdict, waiting, acts=False, traced=traced)
    if verdict.level > Level.APPROVAL_NEEDED:
        return record(view, choice, verdict, f"{choice.chosen} is {_say(verdict)}", acts=False, traced=traced)
    # INVARIANT: nothing is autonomous without an incident, or with a confidence that is unknown or under 80% (S2, S6).
    sure = choice.confidence is not None and choice.confidence >= AUTONOMOUS_FROM
    assert not verdict.autonomous or (sure and situation.open_incident is not None), "the base rules are in force"
    return record(view, choice, verdict, _why_act(view, choice), acts=True, traced=traced)


def _blocked_actions(view: View) -> tuple[str, ...]:
    """List what the rules propose and the guards do not permit, best first."""
    proposed = (proposal.action for proposal in view.first.proposals)
    return tuple(dict.fromkeys(action for action in proposed if action in view.verdicts.keys() - set(view.permitted)))


def _blocked_verdict(view: View, choice: Choice) -> Verdict:
    """Find the verdict that stands between what is wanted and doing it; a plain hold needs nobody's consent."""
    wish = view.situation.wish
    if choice.deviates or view.situation.open_incident is None:
        return ALLOWED
    wanted = (wish.action,) if wish is not None else _blocked_actions(view)
    return next((view.verdicts[action] for action in wanted if action in view.verdicts), ALLOWED)


def _same_waiting(view: View, action: str) -> str:
    """What waits for the same action is asked anew at its recheck, not proposed a second time."""
    waiting = next((way.intent for way in view.gives_way if way.intent.action == action), None)
    return f"{action} `{waiting.id}` is {waiting.state} already" if waiting else ""


# reasons -------------------------------------------------------------------


def _why_act(view: View, choice: Choice) -> str:
    wish = view.situation.wish
    if wish is not None:
        return f"`{wish.author}` asks for {wish.action}: {wish.reason}"
    if choice.coin is not None:
        other = choice.coin.policy if choice.chosen == choice.coin.rule else choice.coin.rule
        return f"the coin of the canary picked {choice.chosen}, not {other}; each would run without a person's word"
    if choice.deviates:
        return _why_instead(choice, choice.chosen)
    assert choice.rule is not None, "what is neither wished nor deviated to is a rule's"
    return f"rule {choice.rule.rule} proposes {choice.chosen}" + _because(choice.rule.because)


def _why_hold(view: View, choice: Choice) -> str:
    incident, wish = view.situation.incident, view.situation.wish
    if incident is None:
        return "no incident is open"
    if incident.closed_at is not None:
        return f"the incident is closed: {incident.closed_by}"
    if wish is not None:
        return _barred_wish(view, wish.action)
    if choice.deviates:
        return _why_instead(choice, "holding")
    if not view.permitted:
        return "nothing is permitted" + _blocked(view)
    return "no rule proposes what is permitted" + _blocked(view)


def _why_instead(choice: Choice, what: str) -> str:
    """Say why the policy's choice stands in the place of the rule's action; one for experiments has no reason."""
    if choice.p_cheaper_than_rule is None:
        return f"the policy draws {what}, where the rules propose {choice.rule_action}"
    sure = f"with probability {choice.p_cheaper_than_rule:.2f}"
    if what == "holding":
        return f"holding is cheaper than {choice.rule_action}, {sure}"
    return f"{what} is cheaper than {choice.rule_action}, which the rules propose, {sure}"


def _barred_wish(view: View, action: str) -> str:
    verdict = view.verdicts.get(action)
    if verdict is None:
        return not_in_rules(action)
    return f"{action} is {_say(verdict)}"


def _blocked(view: View) -> str:
    """Say why what the rules propose is not permitted."""
    said = [f"{action} is {_say(view.verdicts[action])}" for action in _blocked_actions(view)]
    return "; " + "; ".join(said) if said else ""


def _because(text: str) -> str:
    return f": {text}" if text else ""


def _say(verdict: Verdict) -> str:
    return f"{LEVELS[verdict.level]}: {main_reason(verdict)}"
