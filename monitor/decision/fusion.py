"""Evidence of several modalities → one log-likelihood ratio. Pure.

A call can be faked in several ways, and evidence against one way is no evidence against
another: a genuine face must not acquit a fake voice. So the fused ratio is that of a mixture
over attack hypotheses, not a sum or a mean:

    LLR = log( w_voice e^v + w_face e^(f+c) + w_both e^(v+f+c+s) + w_lips e^(s+f/2) )

with v, f, c, s the LLRs of voice, face, cues and lip synchrony. Hypotheses that need a modality
which is absent or abstains are left out and the weights of the others are normalised, so that
an abstention changes exactly nothing.
"""

import math
from dataclasses import dataclass

CUE_CAP = 1.0
"""Most that all physical cues together may say, in either direction."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Calibrated LLRs of one hop; None where the modality is missing or abstains."""

    voice: float | None = None
    face: float | None = None
    sync: float | None = None
    cues: float | None = None


@dataclass(frozen=True, slots=True)
class AttackPriors:
    """How often each attack is expected among attacks; sums to 1."""

    voice: float = 0.6
    face: float = 0.15
    both: float = 0.15
    lips: float = 0.1


def fuse(evidence: Evidence, priors: AttackPriors | None = None) -> float | None:
    """Return the fused LLR, or None when no modality has an opinion."""
    prior = priors or AttackPriors()
    v, f, s = evidence.voice, evidence.face, evidence.sync
    c = max(-CUE_CAP, min(CUE_CAP, evidence.cues or 0.0))
    terms: list[tuple[float, float]] = []
    if v is not None:
        terms.append((prior.voice, v))
    if f is not None:
        terms.append((prior.face, f + c))
    if v is not None and f is not None:
        terms.append((prior.both, v + f + c + (s or 0.0)))
    if s is not None:
        terms.append((prior.lips, s + (f or 0.0) / 2))
    if not terms:
        return None
    total = sum(weight for weight, _ in terms)
    top = max(x for _, x in terms)
    return top + math.log(sum(w / total * math.exp(x - top) for w, x in terms))
