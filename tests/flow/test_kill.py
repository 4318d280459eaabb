"""SIGKILL at random points under load: nothing accepted is lost, nothing is invented."""

import json
import multiprocessing
import os
import random
import signal
import time
from functools import partial
from pathlib import Path

from standardwebhooks import Webhook

from tests.e2e.rig.process import wait_until
from tests.e2e.rig.receiver import Post, Receiver
from tests.flow.outbox_process import CALLS, SECRET, Plan, work

KILLS = 50
ALERTS = 200
"""Offered by each run: more than it can offer before it is killed."""


def test_every_accepted_alert_is_delivered_once_by_key(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    # Forks of a process that has everything imported: fifty starts would take a minute.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.flow.outbox_process"])
    died_early = 0
    accepted_file = tmp_path / "accepted"
    with Receiver() as good, Receiver() as bad:
        urls = (("good", good.url()), ("bad", bad.url()))
        for run in range(KILLS):
            bad.plan = [rng.choice([204, 500, 0]) for _ in range(20)]
            plan = Plan(tmp_path, urls, run * ALERTS, ALERTS)
            hears, says = context.Pipe(duplex=False)
            process = context.Process(target=work, args=(plan, says), daemon=True)
            process.start()
            # A machine may be slow to start it: most kills are timed from a first commit, some
            # from the begin of the load or from the start, as early as while the tables are made.
            before = _size(accepted_file)
            if run % 5:
                assert hears.poll(60), f"seed {seed}: the load never began"
            if run % 5 > 1:
                grown = partial(_grown, accepted_file, before)
                wait_until(grown, 60, "a commit", every=0.01)
            time.sleep(rng.uniform(0.0, 0.4))
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join(10)
            died_early += process.exitcode != -signal.SIGKILL
            hears.close()
            says.close()
        bad.plan = []
        hears, says = context.Pipe(duplex=False)
        plan = Plan(tmp_path, urls, 0, 0)
        last = context.Process(target=work, args=(plan, says), daemon=True)
        last.start()
        last.join(90)
        hears.close()
        says.close()
        assert last.exitcode == 0, f"seed {seed}"
        posts = {"good": good.posts, "bad": bad.posts}
    assert died_early == 0, f"seed {seed}: not killed under load"
    accepted, offered = (set(_lines(tmp_path / name)) for name in ("accepted", "offered"))
    assert len(accepted) >= KILLS * 3 // 5, f"seed {seed}: too little was accepted"
    for name, found in posts.items():
        received = _by_key(found)
        assert accepted - received.keys() == set(), f"seed {seed}: {name} lost"
        assert received.keys() - offered == set(), f"seed {seed}: {name} invented"
        assert all(len(bodies) == 1 for bodies in received.values()), f"seed {seed}: {name} changed"
        for call in range(CALLS):
            order = [int(k.split(":")[4]) for k in received if k.startswith(f"call{call}:")]
            assert order == sorted(order), f"seed {seed}: {name} out of order"
    # Both got the same: what was committed goes everywhere, what was not goes nowhere.
    assert _by_key(posts["good"]).keys() == _by_key(posts["bad"]).keys()
    repeated = len(posts["good"]) - len(_by_key(posts["good"]))
    print(  # noqa: T201
        f"{KILLS} kills, {len(offered)} offered, {len(accepted)} accepted, "
        f"{len(_by_key(posts['good']))} delivered, {repeated} repeated"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _grown(path: Path, size: int) -> bool:
    return _size(path) > size


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def _by_key(posts: list[Post]) -> dict[str, set[str]]:
    """Distinct contents by key, in order of first arrival; every one signed."""
    found: dict[str, set[str]] = {}
    for post in posts:
        event = Webhook(SECRET).verify(post.body, dict(post.headers))
        assert event["id"] == post.headers["webhook-id"]
        found.setdefault(event["id"], set()).add(json.dumps(event["data"], sort_keys=True))
    return found
