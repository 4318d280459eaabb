"""Do scores and media still look like those that the thresholds were made from?"""

from deploy.grafana.boards.panel import (
    NO_CANARY,
    NO_VIDEO,
    NODE,
    Board,
    Panel,
    events,
    heat,
    lines,
    spread,
)

_VOICE = 'detector="voice"'

QUALITY = Board(
    "deepfake-quality",
    "Deepfake monitor: detection quality and drift",
    "Do scores and media still look like those that the thresholds were made from?",
    (
        (
            "What is in use",
            (
                lines(
                    "Models",
                    f"sum by (detector, model, calibration) (monitor_model_info{{{NODE}}})",
                    "{{detector}} {{model}} {{calibration}}",
                    about="More than one line a detector: the nodes are not alike.",
                ),
                lines(
                    "Certified",
                    f"min by (type, tier) (monitor_certificate_info{{{NODE}}})",
                    "{{type}} {{tier}}",
                    about="1: the tier's false-alarm rate is certified.",
                ),
                Panel(
                    "False alarms an hour, at most",
                    (
                        (
                            "max by (type, tier) "
                            f"(monitor_certificate_false_alarms_per_hour{{{NODE}}})",
                            "{{type}} {{tier}}",
                        ),
                        (
                            f"max by (type, tier) (monitor_certificate_hours{{{NODE}}})",
                            "hours tested: {{type}} {{tier}}",
                        ),
                    ),
                    about="One-sided 95 % upper limit, and the hours of genuine speech behind it.",
                ),
            ),
        ),
        (
            "Scores",
            (
                heat("Voice logits", "monitor_score", "short", _VOICE),
                heat("Voice evidence (LLR)", "monitor_llr", "short", _VOICE),
                events(
                    "States by champion and challenger",
                    "monitor_challenger_windows_total",
                    "state, challenger_state",
                    empty="without a challenger",
                ),
                events(
                    "Voice windows by looks",
                    "monitor_voice_looks_total",
                    "looks",
                    about="How many looks a score rests on. A full machine takes one.",
                    empty="without a voice model that looks twice",
                ),
            ),
        ),
        (
            "Drift",
            (
                lines(
                    "Stability index",
                    f"max by (type, measure) (monitor_drift_stability_index{{{NODE}}})",
                    "{{type}} {{measure}}",
                    about="Of recent windows against the reference. Not a number before 20 calls.",
                    red=0.25,
                ),
                lines(
                    "Calls unlike the reference, log10 of the evidence",
                    f"max by (type) (monitor_drift_martingale_log10{{{NODE}}})",
                    "{{type}}",
                    about="Calls like the reference ever reach 2 once in 100 times.",
                    red=2,
                ),
                lines(
                    "Share not judged",
                    f"max by (detector) (monitor_abstained_ratio{{{NODE}}})",
                    "{{detector}}",
                    "percentunit",
                    red=0.5,
                ),
                lines(
                    "Canaries decided right",
                    f"min by (kind) (monitor_canary_state_ok{{{NODE}}})",
                    "{{kind}}",
                    empty=NO_CANARY,
                ),
                lines(
                    "Canary evidence (LLR)",
                    f"monitor_canary_llr{{{NODE}}}",
                    "{{instance}} {{kind}}",
                    empty=NO_CANARY,
                ),
                lines(
                    "Age of the canaries' last replay",
                    f"max by (kind) (monitor_canary_age_seconds{{{NODE}}})",
                    "{{kind}}",
                    "s",
                    empty=NO_CANARY,
                ),
            ),
        ),
        (
            "Media",
            (
                spread("Speech", "monitor_window_speech_seconds", "s", "In three seconds."),
                spread("Level", "monitor_window_level_dbfs", "dB", "Of full scale."),
                spread(
                    "Bandwidth",
                    "monitor_window_bandwidth_hertz",
                    "hertz",
                    "Below 4 kHz: telephone.",
                ),
                spread("Speech over noise", "monitor_window_snr_db", "dB", "In a voice window."),
                spread("Face width", "monitor_window_face_pixels", "short", "Pixels.", NO_VIDEO),
                spread(
                    "Face sharpness",
                    "monitor_window_face_sharpness",
                    "short",
                    "Variance of the Laplacian.",
                    NO_VIDEO,
                ),
            ),
        ),
    ),
    "many",
)
