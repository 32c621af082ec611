"""Run all systems on all scenarios of all sites, in a pool, and keep what each site came to as one line of JSON.

Must never mix sites: a site is one learner run, played by one process from its seed alone, and a line that is there is
not run again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import healerd
import healerd_rules
from experiments.ablation.playing import NOTHING, Memory, holding, meet, play
from experiments.ablation.systems import FIXED, SYSTEMS, System
from experiments.ablation.world import make_scenario, make_site
from healerd.workers import ALONE, Crew, carry_out

__all__ = ["FULL", "QUICK", "Run", "Size", "run", "run_site"]

WARMING = 100_000
"""Numbers from here on are the scenarios of the shadow logs: no system is compared on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is run: sites, scenarios each, the first of them that every system plays, and those of the logs."""

    sites: int
    scenarios: int
    slice: int
    logged: int


FULL = Size(sites=40, scenarios=35, slice=5, logged=12)
"""40 learner runs, 1,400 paired scenarios; 200 of them for the rows that no comparison needs."""
QUICK = Size(sites=2, scenarios=1, slice=1, logged=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one site came to: each system's scenarios in order, and what the fixed answers came to on the slice."""

    site: int
    costs: dict[str, float]
    usual: float
    played: dict[str, list[dict[str, Any]]]


def run(
    size: Size,
    *,
    seed: int,
    kept: Path | None,
    tell: Callable[[str], None],
    crew: Crew = ALONE,
    only: Sequence[str] = (),
) -> list[Run]:
    """Run what is not kept yet; give all sites in order. `only` names the systems that play; by default all do."""
    key = [_fingerprint(), seed, size.scenarios, size.slice, size.logged, *only]
    found = {each.site: each for each in _kept(kept, key)} if kept else {}
    missing = [site for site in range(size.sites) if site not in found]
    for each in carry_out(partial(run_site, size=size, seed=seed, only=tuple(only)), missing, crew):
        found[each.site] = each
        if kept:
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, **asdict(each)}) + "\n")
        tell(f"site {each.site}: {len(found)} of {size.sites} sites")
    return [found[site] for site in range(size.sites)]


def run_site(number: int, *, size: Size, seed: int, only: Sequence[str] = ()) -> Run:
    """Play one site: first the shadow logs, then each scenario under each system, which learns as it goes."""
    site = make_site(seed, number)
    logs = _shadow_logs(seed, number, size.logged)
    learned = {name: logs if system.lessons == "logs" else NOTHING for name, system in SYSTEMS.items()}
    played: dict[str, list[dict[str, Any]]] = {name: [] for name in (*(only or (*SYSTEMS, *FIXED)), "hold")}
    usual = []
    for place in range(size.scenarios):
        met = meet(make_scenario(site, place))
        usual.append(met.usual)
        played["hold"].append(holding(met).plain())
        for system in [SYSTEMS[name] for name in only] or _playing(place, size):
            done, memory = play(met, system, learned.get(system.name, NOTHING))
            played[system.name].append(done.plain())
            if system.lessons != "none":
                learned[system.name] = memory
    return Run(site=number, costs=asdict(site.costs), usual=sum(usual) / len(usual), played=played)


def _shadow_logs(seed: int, number: int, count: int) -> Memory:
    """Let people try one heal after the other, in turn, on incidents of the same site that are compared nowhere."""
    site, memory, answers = make_site(seed, number), NOTHING, tuple(FIXED.values())
    for place in range(count):
        scenario = make_scenario(site, WARMING + place, slot=place - count)
        memory = play(meet(scenario), answers[place % len(answers)], memory)[1]
    return memory.before_activation()


def _playing(place: int, size: Size) -> Iterator[System]:
    for system in SYSTEMS.values():
        if system.everywhere or place < size.slice:
            yield system
    if place < size.slice:
        yield from FIXED.values()


def _fingerprint() -> str:
    """Name the code that plays, so that sites played by other code are never taken for these."""
    here = Path(__file__).parent
    played_by = ("world", "faults", "systems", "memory", "playing", "running")
    files = [
        *(here / f"{name}.py" for name in played_by),
        *(here / "rules").glob("*.heal"),
        *Path(healerd.__file__).parent.rglob("*.py"),
        *Path(healerd_rules.__file__).parent.rglob("*.py"),
        *Path(healerd_rules.__file__).parent.rglob("*.heal"),
    ]
    return sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[:12]


def _kept(path: Path, key: list[object]) -> Iterable[Run]:
    """Read the sites that the same code has run with the same seed and sizes; a line broken off counts as none."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if told.pop("key", None) == key:
            yield Run(**told)
