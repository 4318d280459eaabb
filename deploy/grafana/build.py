"""Draws boards/ as Grafana dashboards: `python -m deploy.grafana.build` writes dashboards/*.json.

The files are in the repository, so that Grafana needs nothing of this; a test draws them again
and compares.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import prometheus as query
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)

from deploy.grafana.boards.cluster import CLUSTER
from deploy.grafana.boards.delivery import DELIVERY
from deploy.grafana.boards.fleet import FLEET
from deploy.grafana.boards.node import ONE_NODE
from deploy.grafana.boards.panel import Board, Panel
from deploy.grafana.boards.quality import QUALITY

BOARDS = (FLEET, ONE_NODE, QUALITY, DELIVERY, CLUSTER)
FOLDER = Path(__file__).parent / "dashboards"
TAG = "deepfake-monitor"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_Drawn = timeseries.Panel | stat.Panel | heatmap.Panel


def drawn() -> dict[str, str]:
    """File names and their content."""
    return {f"{board.uid}.json": _json(board) for board in BOARDS}


def _json(board: Board) -> str:
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags([TAG])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Source").type("prometheus")
        )
        .link(
            dashboard.DashboardLink("Deepfake monitor")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
        )
    )
    if board.choose:
        many = board.choose == "many"
        node = (
            dashboard.QueryVariable("instance")
            .label("Node")
            .datasource(_SOURCE)
            .query('label_values(up{job="deepfake-monitor"}, instance)')
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
            .multi(many)
            .include_all(many)
        )
        made = made.with_variable(node.all_value(".*") if many else node)
    number = 0
    for title, panels in board.rows:
        number += 1
        made = made.with_row(dashboard.Row(title).id(number))
        for panel in panels:
            number += 1
            made = made.with_panel(_panel(panel).id(number))
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _panel(panel: Panel) -> _Drawn:
    made = _kind(panel).title(panel.title).datasource(_SOURCE).unit(panel.unit)
    small = panel.kind == "number"
    made = made.span(4 if small else 8).height(4 if small else 8)
    about = f"{panel.about} Empty {panel.empty}." if panel.empty else panel.about
    if about.strip():
        made = made.description(about.strip())
    if panel.empty:
        made = made.no_value("none")
    for letter, (expression, legend) in zip("ABCDEF", panel.queries, strict=False):
        target = prometheus.Dataquery().expr(expression).ref_id(letter).datasource(_SOURCE)
        target = target.legend_format(legend).exemplar(panel.kind == "heatmap")
        target = target.instant() if panel.kind == "number" else target.range()
        if panel.kind == "heatmap":
            target = target.format(query.PromQueryFormat.HEATMAP)
        made = made.with_target(target)
    if panel.red is not None:
        steps = [Threshold(value=None, color="green"), Threshold(panel.red, "red")]
        limits = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
        made = made.thresholds(limits)
    return made


def _kind(panel: Panel) -> _Drawn:
    if panel.kind == "number":
        latest = ReduceDataOptions().calcs(["lastNotNull"])
        return stat.Panel().graph_mode(common.BigValueGraphMode.NONE).reduce_options(latest)
    if panel.kind == "heatmap":
        return heatmap.Panel()
    lines = timeseries.Panel()
    if panel.red is not None:
        style = GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED)
        lines = lines.thresholds_style(style)
    if panel.kind == "bars":
        lines = lines.draw_style(common.GraphDrawStyle.BARS)
    if panel.kind in ("bars", "stacked"):
        normal = StackingConfig().mode(common.StackingMode.NORMAL)
        lines = lines.stacking(normal).fill_opacity(40)
    return lines


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Replace the folder's dashboards."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    write(FOLDER, drawn())
    sys.stdout.write(f"{len(BOARDS)} dashboards in {FOLDER}\n")
