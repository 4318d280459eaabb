"""Prometheus families about calls: their seconds, windows, scores and quality."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SCORES = (-12.0, -8.0, -6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
_LLRS = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


class CallFamilies:
    """What happens in calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        r = registry
        self.calls = Gauge(
            "monitor_calls",
            "Calls in progress by alarm state: warming, normal, review, alert",
            ["ingest", "state"],
            registry=r,
        )
        self.calls_started = Counter("monitor_calls_started", "Calls begun", ["ingest"], registry=r)
        self.calls_ended = Counter(
            "monitor_calls_ended",
            "Calls ended: ended, stopped, truncated, idle, no_media, disconnected, gone, "
            "unreachable, unauthorized, not_found, refused, unreadable, closed, frozen, "
            "malformed, flood, fault",
            ["ingest", "reason"],
            registry=r,
        )
        self.calls_refused = Counter(
            "monitor_calls_refused",
            "Calls not taken: capacity (every slot is in use), overload (video is thinned), "
            "draining, quota (the sender has too many without media)",
            ["ingest", "reason"],
            registry=r,
        )
        self.anomalies = Counter(
            "monitor_anomalies",
            "What senders did that could not be used, or only in part, while the call went on: "
            "event, message, media, early, track, format, order, metadata, section",
            ["ingest", "kind"],
            registry=r,
        )
        self.seconds = Counter(
            "monitor_seconds",
            "Where the media seconds went: scored; abstained, by reason; lost, by reason",
            ["detector", "outcome", "reason"],
            registry=r,
        )
        self.skew = Histogram(
            "monitor_clock_skew_ppm",
            "By how much senders' sampling clocks are slow, in millionths; looked at every 10 s",
            buckets=(-50e3, -10e3, -3e3, -1e3, -300.0, -100.0, 100.0, 300.0, 1e3, 3e3, 10e3, 50e3),
            registry=r,
        )
        self.corrected = Counter(
            "monitor_corrected_seconds",
            "Sound that follows the wall's clock: stretched (or squeezed) by so much; cut, where "
            "it would lie in the future or came after its time was booked as lost; filled up with "
            "silence that nothing told but the arrival",
            ["reason"],
            registry=r,
        )
        self.windows = Counter(
            "monitor_windows",
            "Windows: scored, or the reason of the abstention",
            ["detector", "outcome"],
            registry=r,
        )
        self.corrected_windows = Counter(
            "monitor_corrected_windows",
            "Voice windows in which sound was stretched, cut or filled up to follow a clock, by "
            "what became of them",
            ["outcome"],
            registry=r,
        )
        self.looks = Counter(
            "monitor_voice_looks",
            "Scored voice windows by the looks their logit rests on, where the model takes a "
            "second one: 1 or 2",
            ["looks"],
            registry=r,
        )
        self.inference = Histogram(
            "monitor_inference_seconds",
            "Computation of one step",
            ["stage"],
            buckets=_FAST,
            registry=r,
        )
        self.wait = Histogram(
            "monitor_inference_wait_seconds",
            "Wait for an inference thread",
            ["stage"],
            buckets=_FAST,
            registry=r,
        )
        self.cpu = Counter(
            "monitor_cpu_seconds", "CPU time of inference threads", ["stage"], registry=r
        )
        self.loop_lag = Histogram(
            "monitor_loop_lag_seconds",
            "By how much the event loop is late; looked at twenty times a second",
            buckets=_FAST,
            registry=r,
        )
        self.lag = Histogram(
            "monitor_lag_seconds",
            "Arrival of a live window's last media to its verdict; exemplar: call",
            ["detector"],
            buckets=_FAST,
            registry=r,
        )
        self.dropped = Counter(
            "monitor_dropped",
            "Media thrown away because the monitor was late; also booked as lost, overload",
            ["stage"],
            registry=r,
        )
        self.score = Histogram(
            "monitor_score",
            "Raw logits, for drift; exemplar: call",
            ["detector"],
            buckets=_SCORES,
            registry=r,
        )
        self.llr = Histogram(
            "monitor_llr",
            "Calibrated log-likelihood ratios, natural log; exemplar: call",
            ["detector"],
            buckets=_LLRS,
            registry=r,
        )
        self.speech = Histogram(
            "monitor_window_speech_seconds",
            "Speech in a voice window",
            buckets=(0.1, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0),
            registry=r,
        )
        self.level = Histogram(
            "monitor_window_level_dbfs",
            "Level of a voice window",
            buckets=(-60.0, -50.0, -40.0, -30.0, -25.0, -20.0, -15.0, -10.0),
            registry=r,
        )
        self.bandwidth = Histogram(
            "monitor_window_bandwidth_hertz",
            "Bandwidth of a voice window",
            buckets=(1000.0, 2000.0, 3000.0, 3600.0, 4000.0, 5000.0, 6000.0, 7000.0),
            registry=r,
        )
        self.snr = Histogram(
            "monitor_window_snr_db",
            "Speech over noise in a voice window",
            buckets=(0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0),
            registry=r,
        )
        self.face_px = Histogram(
            "monitor_window_face_pixels",
            "Median face width in a face window",
            buckets=(40.0, 60.0, 80.0, 112.0, 160.0, 224.0, 320.0),
            registry=r,
        )
        self.face_sharpness = Histogram(
            "monitor_window_face_sharpness",
            "Median sharpness in a face window: variance of the Laplacian",
            buckets=(5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0, 800.0),
            registry=r,
        )
        self.faces = Counter("monitor_faces", "Face tracks found and lost", ["event"], registry=r)
        self.governor = Gauge(
            "monitor_governor_level",
            "What of live calls is looked at: 0 everything, 1 no physical cues, 2 one picture a "
            "second, 3 key frames only; the voice always",
            registry=r,
        )
        self.slots = Gauge(
            "monitor_call_slots_free",
            "Further calls that can be taken now; 0 when every slot is in use or video thinned",
            registry=r,
        )
