"""Print how far a pipeline may be trusted, table by table. Must never leave out how little an interval stands on."""

from collections.abc import Mapping
from typing import Any

from healerd.cli.show import Show

__all__ = ["show_evidence", "verdict_of"]

Json = Mapping[str, Any]


def show_evidence(show: Show, view: Json) -> None:
    """Print stage, posteriors, reliability, what bounds deviations, and the verdict of the coin decisions."""
    show.pairs({"pipeline": view["name"], "stage": view["stage"], "as of": view["at"], **_last_change(view)})
    if view["actions"]:
        show.text("\nwhat it expects now, P(failure) with its 95% interval")
        show.table(
            ["action", "configured", "P(failure)", "low", "high", "fixed cost", "expected cost", "sd"],
            [
                [
                    each["action"],
                    each["configured"],
                    each["p_failure"],
                    each["p_failure_low"],
                    each["p_failure_high"],
                    each["fixed_cost"],
                    each["cost_mean"],
                    each["cost_sd"],
                ]
                for each in view["actions"]
            ],
        )
    _show_reliability(show, view)
    if view["account"] is not None:
        show.text("\nwhat bounds its deviations")
        show.pairs(_bounds(view["account"]))
    show.text("\ncoin decisions, and what people decided")
    show.pairs({**_coins(view["account"]), **_people(view["people"]), "verdict": verdict_of(view)})


def verdict_of(view: Json) -> str:
    """Say what the coin decisions have shown: `better`, `worse`, `not proven`, on how many, or that there are none."""
    canary = (view["account"] or {}).get("canary")
    if canary is None:
        return "not proven: no window has been judged yet"
    n = canary["policy_outcomes"] + canary["rule_outcomes"]
    if not n:
        return "not proven: no coin decision has an outcome yet"
    interval = f"{canary['difference']:+.0%} [{canary['low']:+.0%}, {canary['high']:+.0%}]"
    return f"{canary['verdict']}: failure rate {interval}, n {n}"


def _show_reliability(show: Show, view: Json) -> None:
    show.text("\npredicted against observed failure, of heals that were compared; observed with its 95% interval")
    if not view["reliability"]:
        show.text("no heal has been compared yet")
        return
    show.table(
        ["predicted", "n", "mean", "failed", "observed", "low", "high"],
        [
            [
                f"{each['low']:.0%}-{each['high']:.0%}",
                each["n"],
                each["predicted"],
                each["failures"],
                each["observed"],
                each["observed_low"],
                each["observed_high"],
            ]
            for each in view["reliability"]
        ],
    )


def _last_change(view: Json) -> dict[str, Any]:
    changes = view["changes"]
    return {"since": f"{changes[0]['at']}, by {changes[0]['author']}: {changes[0]['reason']}"} if changes else {}


def _bounds(account: Json) -> dict[str, Any]:
    ledger, budget, check, pending = (account[name] for name in ("ledger", "budget", "prior_check", "pending"))
    open_ = account["since_at"] is not None
    told = {
        "ledger": f"{ledger['mean']:+.1f} +- {ledger['sd']:.1f}, upper end {ledger['upper']:+.1f}, must not exceed 0; "
        f"{ledger['deviations']} deviations in {ledger['decisions']} decisions",
        "budget": "none" if budget["limit"] is None else f"{budget['excess']:.1f} of {budget['limit']:.1f}",
        "prior check": f"{'TRIPPED' if check['tripped'] else 'holds'} after {check['outcomes']} outcomes; "
        f"evidence {_evidence(check['log_highest'])} of 20",
        "pending deviations": f"{len(pending['deviations'])} of {pending['limit']}",
        "turned against it": account["turned"] or "nothing",
        "refused outcomes": account["refusals"],
    }
    return {**told, **({} if open_ else {"active": "no: a person decides, ledger and budget bar nothing"})}


def _evidence(log_evidence: float) -> str:
    return f"{2.718281828459045 ** min(log_evidence, 20.0):.1f}"


def _coins(account: Json | None) -> dict[str, Any]:
    if account is None:
        return {}
    canary = account["canary"]
    return {
        "policy's side": f"{canary['policy_failures']} failed of {canary['policy_outcomes']}",
        "rule's side": f"{canary['rule_failures']} failed of {canary['rule_outcomes']}",
        "outcomes to come": canary["pending"],
    }


def _people(people: Json) -> dict[str, Any]:
    compared = f"{people['failed']} failed of {people['compared']} compared"
    return {
        "approved (no evidence)": f"{people['approved']}; {compared}",
        "vetoed or denied": people["vetoed"],
    }
