"""Colour arithmetic for the tests of themes: contrast, simulated colour blindness, distance. Must never judge by eye.

Contrast: Web Content Accessibility Guidelines 2.2, definitions of relative luminance and contrast ratio.
Simulation: Machado, Oliveira and Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency
(IEEE TVCG, 2009), matrices for severity 1.0, applied to linear RGB.
Distance: Ottosson, A perceptual color space for image processing (Oklab, 2020), Euclidean and times 100.
"""

import numpy as np

MACHADO = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(colour: str) -> np.ndarray:
    """Linear RGB in [0, 1] of `#RRGGBB`."""
    coded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, in [1, 21]."""
    low, high = sorted(float(linear(each) @ [0.2126, 0.7152, 0.0722]) for each in (one, other))
    return (high + 0.05) / (low + 0.05)


def distance(one: str, other: str, vision: str | None = None) -> float:
    """Distance of two colours as seen with that vision: 0 is the same, 2 about what can just be told side by side."""
    return float(np.linalg.norm(_lab(one, vision) - _lab(other, vision)) * 100)


def _lab(colour: str, vision: str | None) -> np.ndarray:
    seen = linear(colour) if vision is None else np.clip(np.array(MACHADO[vision]) @ linear(colour), 0, 1)
    return TO_LAB @ np.cbrt(TO_CONES @ seen)
