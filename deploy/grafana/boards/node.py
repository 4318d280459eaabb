"""Where each second of media went, and how long each step took."""

from deploy.grafana.boards.panel import JOB, NO_VIDEO, NODE, Board, events, heat, lines, number


def _seconds(by: str, more: str) -> str:
    return f"sum by ({by}) (rate(monitor_seconds_total{{{NODE},{more}}}[$__rate_interval]))"


_COMPUTING = f"rate(monitor_inference_seconds_bucket{{{NODE}}}[$__rate_interval])"

ONE_NODE = Board(
    "deepfake-node",
    "Deepfake monitor: one node",
    "Where each second of media went, and how long each step took.",
    (
        (
            "Now",
            (
                number("Answers", f"up{{{JOB},{NODE}}}"),
                number("Calls in progress", f"instance:monitor_calls:sum{{{NODE}}}"),
                number("Further calls it takes", f"monitor_call_slots_free{{{NODE}}}"),
                number("Video thinned, level", f"monitor_governor_level{{{NODE}}}", red=1),
                number("Store degraded", f"monitor_store_degraded{{{NODE}}}", red=1),
                number("Evidence degraded", f"monitor_evidence_degraded{{{NODE}}}", red=1),
                number("Evidence in memory", f"monitor_evidence_ring_bytes{{{NODE}}}", "bytes"),
            ),
        ),
        (
            "Every second is accounted for",
            (
                lines(
                    "Voice seconds by outcome, a second",
                    _seconds("outcome", 'detector="voice"'),
                    "{{outcome}}",
                    kind="stacked",
                    about="Seconds of media a second: the number of participants heard.",
                ),
                lines(
                    "Lost, by reason",
                    _seconds("detector, reason", 'outcome="lost"'),
                    "{{detector}} {{reason}}",
                    kind="stacked",
                    empty="while nothing was lost",
                ),
                lines(
                    "Abstained, by reason",
                    _seconds("detector, reason", 'outcome="abstained"'),
                    "{{detector}} {{reason}}",
                    kind="stacked",
                    empty="until a window was not judged: silence, or a face without a model",
                ),
                events("Windows", "monitor_windows_total", "detector, outcome"),
                events(
                    "Thrown away because late",
                    "monitor_dropped_total",
                    "stage",
                    about="Also in the seconds, as lost, overload.",
                    empty="while the machine keeps up",
                ),
                events(
                    "Threads and tasks that died",
                    "monitor_task_failures_total",
                    "task",
                    about="The log has the cause; workers are begun again.",
                    empty="while nothing failed",
                ),
                lines(
                    "Senders' clocks, median",
                    "histogram_quantile(0.5, sum by (le) "
                    f"(rate(monitor_clock_skew_ppm_bucket{{{NODE}}}[$__rate_interval])))",
                    "millionths slow",
                    "short",
                    about="Beyond some hundred, sound is stretched or squeezed.",
                ),
                events(
                    "Sound that follows the wall, seconds",
                    "monitor_corrected_seconds_total",
                    "reason",
                    about="Stretched (or squeezed), or cut; a steady sender needs neither.",
                    empty="while senders' clocks are right",
                ),
                events(
                    "Windows of such sound",
                    "monitor_corrected_windows_total",
                    "outcome",
                    about="Their quality says by how many seconds; scored all the same.",
                    empty="while senders' clocks are right",
                ),
                events(
                    "Not taken from greedy peers",
                    "monitor_refusals_total",
                    "reason",
                    about="Floods of sound, of SIP: who sends them, the log says.",
                    empty="while nobody wants more than its share",
                ),
                events("Faces found and lost", "monitor_faces_total", "event", empty=NO_VIDEO),
            ),
        ),
        (
            "Speed",
            (
                heat(
                    "Media to verdict",
                    "monitor_lag_seconds",
                    "s",
                    about="From the arrival of a window's last media; exemplars name the call.",
                ),
                lines(
                    "Media to verdict, 95 %",
                    f"instance_detector:monitor_lag_seconds:p95_rate5m{{{NODE}}}",
                    "{{detector}}",
                    "s",
                    red=1,
                ),
                lines(
                    "Waiting for an inference thread, 95 %",
                    f"instance_stage:monitor_inference_wait_seconds:p95_rate5m{{{NODE}}}",
                    "{{stage}}",
                    "s",
                    red=0.5,
                ),
                lines(
                    "Event loop late, 95 %",
                    "histogram_quantile(0.95, sum by (le) "
                    f"(rate(monitor_loop_lag_seconds_bucket{{{NODE}}}[$__rate_interval])))",
                    "late",
                    "s",
                    red=0.25,
                ),
                lines(
                    "CPU time of inference threads",
                    f"sum by (stage) (rate(monitor_cpu_seconds_total{{{NODE}}}[$__rate_interval]))",
                    "{{stage}}",
                    kind="stacked",
                    about="CPU seconds a second: cores in use.",
                ),
                lines(
                    "Computing, 95 %",
                    f"histogram_quantile(0.95, sum by (stage, le) ({_COMPUTING}))",
                    "{{stage}}",
                    "s",
                ),
                lines(
                    "Inference threads in use",
                    "sum by (stage) (rate("
                    f"monitor_inference_seconds_sum{{{NODE}}}[$__rate_interval]))",
                    "{{stage}}",
                    kind="stacked",
                    about="Seconds of computing a second.",
                ),
            ),
        ),
    ),
    "one",
)
