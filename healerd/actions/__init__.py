"""What is done to the world, and the registry of model versions it is done to.

`ACTIONS` are what a rule or the policy may choose, `STEP_EFFECTS` the effects that belong to a heal. Must never decide
whether to act: that is decided above, and again in the transaction that starts the effect.
"""

from collections.abc import Mapping

from healerd.actions.fallback import Fallback
from healerd.actions.folder import FolderRegistry
from healerd.actions.promote import Promote
from healerd.actions.registries import model_files, open_registry
from healerd.actions.registry import Draft, Model, Registry
from healerd.actions.retrain import Retrain
from healerd.actions.return_ import Return
from healerd.actions.rollback import Rollback
from healerd.actions.undo import Undo
from healerd.actions.worker import InlineWorker, ProcessWorker, Worker
from healerd.actions.world import Effect, Heal, Observation, Plan, Refusal, Seen, Step, World

__all__ = [
    "ACTIONS",
    "EFFECTS",
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
    "model_files",
    "open_registry",
]

ACTIONS: Mapping[str, Heal] = {
    "retrain": Retrain(),
    "rollback": Rollback(),
    "fallback": Fallback(),
}
STEP_EFFECTS: Mapping[str, Step] = {
    "promote": Promote(),
    "undo": Undo(),
    "return": Return(),
}
EFFECTS: Mapping[str, Effect] = {**ACTIONS, **STEP_EFFECTS}
