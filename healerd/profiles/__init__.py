"""Rows -> mergeable counts: what a window or a reference amounts to, and when a prediction is wrong.

Pure. Must never keep a row, read a clock or touch a disk.
"""

from healerd.profiles.counts import Counts, Profile, from_bytes, merge, profile, slim, to_bytes
from healerd.profiles.losses import ErrorSummary, Loss, losses, parse_loss, pool_sd, sd_max, summarise
from healerd.profiles.maps import (
    CELLS,
    Maps,
    NameMap,
    NumberMap,
    ProfileSettings,
    fit,
    maps_from_json,
    maps_to_json,
)
from healerd.profiles.ranks import ks, ks_p_value, mid_ranks, psi, quantiles, spreads, wasserstein
from healerd.profiles.reference import (
    Habit,
    ReferenceProfile,
    make_reference,
    reference_from_bytes,
    reference_to_bytes,
)

__all__ = [
    "CELLS",
    "Counts",
    "ErrorSummary",
    "Habit",
    "Loss",
    "Maps",
    "NameMap",
    "NumberMap",
    "Profile",
    "ProfileSettings",
    "ReferenceProfile",
    "fit",
    "from_bytes",
    "ks",
    "ks_p_value",
    "losses",
    "make_reference",
    "maps_from_json",
    "maps_to_json",
    "merge",
    "mid_ranks",
    "parse_loss",
    "pool_sd",
    "profile",
    "psi",
    "quantiles",
    "reference_from_bytes",
    "reference_to_bytes",
    "sd_max",
    "slim",
    "spreads",
    "summarise",
    "to_bytes",
    "wasserstein",
]
