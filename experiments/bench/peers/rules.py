"""One policy of the rules bench in three other engines, timed in a process and an environment of its own.

    python rules.py < question.json > answer.json

The question holds the `engine`, `rules` (which actions each forbids, and the triples fact, comparison, bound of which
all must hold), `actions`, `rows` (a fact that is absent is unknown) and `seconds` to spend at least. A rule forbids
unless its condition is definitely false. The answer holds who may act per row and action, CPU seconds a decision, and
those of one round of a fixed loop, measured in between, by which the two processes are made comparable. Each engine is
called in the way that is kindest to it: policies parsed once, rows converted beforehand, one call for all it can take.
It must never need anything but the standard library and the one engine.
"""

import json
import sys
import time
from statistics import median

OPPOSITE = {">": "<=", "<": ">="}


def cedar(rules, actions):
    """Policies parsed once, one batch of requests a row, no entities."""
    import cedarpy

    def clause(fact, op, bound):
        return f"(context has {fact} && context.{fact} {OPPOSITE[op]} {bound})"

    texts = ["permit(principal, action, resource);"]
    for rule in rules:
        about = ", ".join(f'Action::"{action}"' for action in rule["actions"])
        never = " || ".join(clause(*part) for part in rule["when"])
        texts.append(f"forbid(principal, action in [{about}], resource) unless {{ {never} }};")
    policies = cedarpy.PolicySet.from_str("\n".join(texts))
    entities = cedarpy.Entities.from_json_str("[]")

    def prepare(row):
        context = json.dumps(row)
        return [
            {"principal": 'U::"p"', "action": f'Action::"{action}"', "resource": 'R::"m"', "context": context}
            for action in actions
        ]

    def judge(requests):
        return [answer.allowed for answer in cedarpy.is_authorized_batch(requests, policies, entities)]

    return prepare, judge


def cel(rules, actions):
    """One expression an action."""
    import celpy

    def clause(fact, op, bound):
        return f"(has(f.{fact}) && f.{fact} {OPPOSITE[op]} {bound})"

    environment = celpy.Environment()
    programs = []
    for action in actions:
        about = [rule["when"] for rule in rules if action in rule["actions"]]
        text = " && ".join("(" + " || ".join(clause(*part) for part in when) + ")" for when in about)
        programs.append(environment.program(environment.compile(text)))

    def prepare(row):
        return {"f": celpy.json_to_cel(row)}

    def judge(given):
        return [bool(program.evaluate(given)) for program in programs]

    return prepare, judge


def rego(rules, actions):
    """A bundle built once, one query a row for all actions."""
    import regopy

    lines = ["package p", "import rego.v1"]
    for number, rule in enumerate(rules):
        lines += [f"never{number} if input.{fact} {OPPOSITE[op]} {bound}" for fact, op, bound in rule["when"]]
        lines += [f'denied contains "{action}" if not never{number}' for action in rule["actions"]]
    interpreter = regopy.Interpreter()
    interpreter.add_module("p", "\n".join(lines))
    bundle = interpreter.build("x = data.p.denied")

    def judge(given):
        interpreter.set_input(given)
        output = interpreter.query_bundle(bundle)  # what it binds lives as long as it does
        told = json.loads(str(output.binding("x")))
        return [action not in told for action in actions]

    return regopy.Input, judge


ENGINES = {"cedarpy": cedar, "cel-python": cel, "regopy": rego}


def loop_s():
    """CPU seconds of a fixed piece of plain Python."""
    before = time.process_time()
    total = 0
    for number in range(200_000):
        total += number & 7
    return time.process_time() - before


def main():
    """Answer the question on standard input."""
    question = json.load(sys.stdin)
    prepare, judge = ENGINES[question["engine"]](question["rules"], question["actions"])
    rows = [prepare(row) for row in question["rows"]]
    answers = [judge(row) for row in rows]
    spent, loops = [], []
    while sum(spent) < question["seconds"] or len(spent) < 3:
        loops.append(loop_s())
        before = time.process_time()
        for row in rows:
            judge(row)
        spent.append(time.process_time() - before)
    decisions = len(rows) * len(question["actions"])
    json.dump({"answers": answers, "decision_s": median(spent) / decisions, "loop_s": median(loops)}, sys.stdout)


if __name__ == "__main__":
    main()
