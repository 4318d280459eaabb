"""What all calls of a process share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from monitor.analysis.cascade import Cascade
from monitor.analysis.landmarker import Landmarker
from monitor.analysis.speech import SpeechGate
from monitor.decision.alarm import AlarmTiming
from monitor.decision.policy import Policy
from monitor.inference.executor import Executor
from monitor.types import AlertType, AudioWindow
from monitor.types.protocols import Cue, Detector, FaceJudge, Listener
from monitor.types.sampling import Sampling

NO_MODEL = "none"
"""The model of a detector that has none."""


@dataclass(frozen=True, slots=True)
class Judges:
    """Detectors and the policies that turn their scores into decisions."""

    voice: Detector[AudioWindow]
    face: FaceJudge
    policies: Mapping[AlertType, Policy]
    """Types without a policy never alarm."""
    cues: tuple[Cue, ...] = ()
    listeners: tuple[Listener, ...] = ()
    """Detectors of other packages that measure sound; they are shown and never count."""

    @property
    def models(self) -> dict[str, str]:
        """Model version by detector."""
        models = {self.voice.name: self.voice.model, self.face.name: self.face.model}
        others: tuple[Cue | Listener, ...] = (*self.cues, *self.listeners)
        return models | {other.name: other.model for other in others if other.model != NO_MODEL}


def _nobody(call: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Stages:
    """Loaded once, used by every call."""

    gate: SpeechGate
    cascade: Cascade
    landmarker: Landmarker | None
    """None where no model of landmarks is installed: cues are not looked for then."""
    judges: Judges
    challenger: Judges | None
    """Judges that see every window too and whose decisions are only compared."""
    executor: Executor
    sampling: Sampling
    timing: AlarmTiming
    wall: Callable[[], datetime]
    """Wall-clock time, for alerts only."""
    previewed: Callable[[str], bool] = _nobody
    """Whether somebody looks at this call just now, so that previews are worth making."""
