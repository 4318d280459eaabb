"""A certified OpenID provider (npm `oidc-provider`) and Chromium: people log in to the console."""

import json
import shutil
from pathlib import Path

from tests.e2e.rig.browser import Browser
from tests.e2e.rig.process import Process, free_port
from tests.e2e.service import Service

FOLDER = Path(__file__).parent / "npm"
SECRET = "hunter2 & co/+"
PEOPLE = {"a-17": ["alice", "operator"], "b-18": ["bob"]}
SETTINGS = """
[oidc]
issuer = "http://localhost:{provider}"
client_id = "monitor"
client_secret = "{secret}"
redirect_uri = "{own}/login/callback"
"""
HOLD = """async () => {
    const { session } = await (await fetch("/login/session")).json();
    const ask = (headers) => fetch("/api/v1/calls/none", { method: "DELETE", headers });
    return [(await ask({})).status, (await ask({ "X-CSRF-Token": session.csrf })).status];
}"""


def test_people_log_in_to_the_console(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node, "needs node; make peers installs the rest"
    port, provider = free_port(), free_port()
    own = f"http://127.0.0.1:{port}"
    settings = SETTINGS.format(provider=provider, secret=SECRET, own=own)
    command = [node, str(FOLDER / "provider.mjs"), str(provider), f"{own}/login/callback", SECRET]
    with (
        Process([*command, json.dumps(PEOPLE)], tmp_path / "node.log") as idp,
        Service(tmp_path / "service", settings, port) as service,
        Browser(tmp_path / "browser") as browser,
    ):
        idp.wait_ready(lambda: "ready" in idp.said())
        page = browser.open(f"{own}/")
        page.get_by_role("link", name="Log in").click()
        page.get_by_label("Account").fill("b-18")
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("no role that is one here").wait_for()
        page.context.clear_cookies()

        page.goto(f"{own}/login")
        page.get_by_label("Account").fill("a-17")
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("oidc:alice (a-17)").wait_for()
        page.get_by_role("heading", name="Calls").wait_for()
        page.locator("#service[data-state=live]").wait_for()
        assert page.evaluate("document.cookie") == ""
        # What changes something needs what only our own page can read.
        assert page.evaluate(HOLD) == [403, 404]
        page.reload()
        page.locator("#service[data-state=live]").wait_for()
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("link", name="Log in").wait_for()
        said = service.process.said()
        (came,) = service.log("logged in")
    assert came["by"] == "oidc:alice (a-17)"
    assert SECRET not in said
    assert "code=" not in said
    assert browser.page_errors == []
