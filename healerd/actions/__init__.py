"""What is done to the world, and the registry of model versions it is done to.

`ACTIONS` are what a rule or the policy may choose, `STEP_EFFECTS` the effects that belong to a heal. Must never decide
whether to act: that is decided above, and again in the transaction that starts the effect.
"""

from collections.abc import Callable, Mapping

from healerd.action_settings import ActionSettings
from healerd.actions.fallback import Fallback
from healerd.actions.folder import FolderRegistry
from healerd.actions.named import Notify, RunIt
from healerd.actions.promote import Promote
from healerd.actions.recalibrate import Recalibrate
from healerd.actions.registries import model_files, open_registry
from healerd.actions.registry import Draft, Model, Registry
from healerd.actions.retrain import Retrain
from healerd.actions.return_ import Return
from healerd.actions.rollback import Rollback
from healerd.actions.undo import Undo
from healerd.actions.worker import InlineWorker, ProcessWorker, Worker
from healerd.actions.world import Effect, Heal, Observation, Plan, Refusal, Seen, Step, World
from healerd.config import PipelineSettings
from healerd.errors import ConfigError

__all__ = [
    "ACTIONS",
    "EFFECTS",
    "KINDS",
    "STEP_EFFECTS",
    "Draft",
    "Effect",
    "FolderRegistry",
    "Heal",
    "InlineWorker",
    "Model",
    "Observation",
    "Plan",
    "ProcessWorker",
    "Refusal",
    "Registry",
    "Seen",
    "Step",
    "Worker",
    "World",
    "effect_of",
    "heals_of",
    "model_files",
    "open_registry",
]

EVERYWHERE = ("retrain", "rollback", "fallback")
"""The actions that every pipeline has; the others where they are configured."""
KINDS: Mapping[str, Callable[[str, ActionSettings], Heal]] = {
    "run": RunIt,
    "notify": Notify,
}
"""The kinds of actions that an owner may name."""
ACTIONS: Mapping[str, Heal] = {
    "retrain": Retrain(),
    "rollback": Rollback(),
    "fallback": Fallback(),
    "recalibrate": Recalibrate(),
}
STEP_EFFECTS: Mapping[str, Step] = {
    "promote": Promote(),
    "undo": Undo(),
    "return": Return(),
}
EFFECTS: Mapping[str, Effect] = {**ACTIONS, **STEP_EFFECTS}


def heals_of(settings: PipelineSettings) -> Mapping[str, Heal]:
    """Give the actions of a pipeline by name: those that every pipeline has, and those that it configures."""
    own = {name: each for name, each in settings.actions.items() if name not in EVERYWHERE}
    named = {name: KINDS[each.kind](name, each) if each.kind else ACTIONS[name] for name, each in own.items()}
    return {**{name: ACTIONS[name] for name in EVERYWHERE}, **named}


def effect_of(name: str, settings: PipelineSettings) -> Effect:
    """Find the effect that an intent names. Raises ConfigError when the action is not configured any more."""
    effect = EFFECTS.get(name) or heals_of(settings).get(name)
    if effect is None:
        raise ConfigError(f"action `{name}` is not configured any more: what it has open waits")
    return effect
