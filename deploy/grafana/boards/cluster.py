"""Many nodes behind gateways: is there room, and what was lost with a node?

Every gateway tells what the one director says, so the largest is taken, not the sum.
"""

from deploy.grafana.boards.panel import NO_TROUBLE, Board, Panel, lines, number

CLUSTER = Board(
    "deepfake-cluster",
    "Deepfake monitor: cluster",
    "Is there room, and what was lost with a node?",
    (
        (
            "Now",
            (
                number("Nodes ready", 'max(monitor_cluster_nodes{state="ready"})'),
                number(
                    "Nodes lost",
                    'max(monitor_cluster_nodes{state="lost"})',
                    about="Of those that the director still knows.",
                    red=1,
                ),
                number("Calls", "max(monitor_cluster_calls)"),
                number(
                    "Calls that can be taken",
                    "max(monitor_cluster_slots_free)",
                    about="By every ready node together; at none a caller is answered with 503.",
                ),
                number(
                    "Sources waiting for a node",
                    'max(monitor_cluster_sources{state="waiting"})',
                    red=1,
                ),
                number(
                    "Seconds lost with nodes",
                    "max(monitor_cluster_seconds_lost_total)",
                    "s",
                    about="Since the director began.",
                ),
            ),
        ),
        (
            "Over time",
            (
                lines(
                    "Nodes by state",
                    "max by (state) (monitor_cluster_nodes)",
                    "{{state}}",
                    kind="stacked",
                ),
                Panel(
                    "Calls and room",
                    (
                        ("max(monitor_cluster_calls)", "in progress"),
                        ("max(monitor_cluster_slots_free)", "can be taken"),
                    ),
                    kind="stacked",
                ),
                lines("Sources by state", "max by (state) (monitor_cluster_sources)", "{{state}}"),
            ),
        ),
        (
            "Trouble",
            (
                lines(
                    "Nodes that died",
                    "max(increase(monitor_cluster_nodes_lost_total[$__rate_interval]))",
                    "nodes",
                    kind="bars",
                ),
                Panel(
                    "Calls that moved or ended with their node",
                    (
                        (
                            "max(increase(monitor_cluster_leases_moved_total[$__rate_interval]))",
                            "sources given to another node",
                        ),
                        (
                            "max(increase("
                            "monitor_cluster_calls_interrupted_total[$__rate_interval]))",
                            "calls interrupted",
                        ),
                    ),
                    kind="bars",
                ),
                lines(
                    "Alerts",
                    "count by (alertname) "
                    '(ALERTS{alertname=~"MonitorNodeLost|MonitorSourceWaiting"})',
                    "{{alertname}}",
                    empty=NO_TROUBLE,
                ),
            ),
        ),
    ),
)
