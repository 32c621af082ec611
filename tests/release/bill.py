"""The bill of materials (CycloneDX 1.6) of a release: what the lock names, with hashes, licences and what needs what.

Must never name a package that the lock does not, nor hold a time or a number that is not of the commit.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from uuid import UUID, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
SPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


@dataclass(frozen=True)
class Pin:
    """One line of a lock: a package at one version, and the digests of the files that may be it."""

    name: str
    version: str
    digests: tuple[str, ...]


def pins(lock: str) -> tuple[Pin, ...]:
    """Read a lock."""
    blocks = re.split(r"\n(?=\S)", lock.strip())
    found = ((PINNED.match(block), block) for block in blocks)
    return tuple(
        Pin(name=canonicalize_name(match[1]), version=match[2], digests=tuple(HASH.findall(block)))
        for match, block in found
        if match
    )


def bill(lock: str, *, version: str, requires: list[str], digests: dict[str, str], seconds: int) -> str:
    """Write the bill of one release: `requires` are its own requirements, `digests` those of its files by name."""
    components = [_component(pin) for pin in pins(lock)]  # of some there are two: one for each of two Pythons
    root = Component(
        name="healerd",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref="healerd",
        licenses=[LicenseFactory().make_from_string("MIT")],
        purl=PackageURL("pypi", name="healerd", version=version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for _, digest in sorted(digests.items())],
    )
    made = Bom(components=components, serial_number=uuid5(SPACE, f"{lock}{version}{sorted(digests.items())}"))
    made.metadata.component, made.metadata.timestamp = root, datetime.fromtimestamp(seconds, UTC)
    made.register_dependency(root, _among(components, requires))
    for component in components:
        installed = _installed(component.name)
        made.register_dependency(component, _among(components, (installed.requires or []) if installed else []))
    return JsonV1Dot6(made).output_as_string(indent=1) + "\n"


def _component(pin: Pin) -> Component:
    installed = _installed(pin.name)
    same = installed if installed and installed.version == pin.version else None
    return Component(
        name=pin.name,
        version=pin.version,
        bom_ref=f"{pin.name}=={pin.version}",
        purl=PackageURL("pypi", name=pin.name, version=pin.version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in pin.digests],
        licenses=[licence] if same and (licence := _licence(same)) else [],
    )


def _licence(installed: Distribution) -> License | None:
    said = installed.metadata.get("License-Expression") or installed.metadata.get("License") or ""
    named = [each.rsplit(" :: ", 1)[1] for each in installed.metadata.get_all("Classifier", []) if "License ::" in each]
    text = said if said and "\n" not in said and len(said) < 80 else (named or [""])[0]
    return LicenseFactory().make_from_string(text) if text else None


def _among(components: list[Component], requires: list[str]) -> list[Component]:
    """Pick what is required without an extra."""
    named = {canonicalize_name(Requirement(each).name) for each in requires if "extra ==" not in each}
    return [component for component in components if component.name in named]


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None
