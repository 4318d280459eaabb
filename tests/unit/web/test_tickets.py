"""A ticket lets in once, to one node, for seconds."""

import pytest

from monitor.cluster.seal import key
from monitor.web.problems import Problem
from monitor.web.tickets import Tickets

KEY = key("s" * 32, "tickets")


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refused(tickets: Tickets, ticket: str, node: str = "n") -> str:
    with pytest.raises(Problem) as caught:
        tickets.redeem(ticket, node)
    assert (caught.value.status, caught.value.members) == (401, {"field": "ticket"})
    return caught.value.detail


def test_it_is_taken_once(clock: Clock) -> None:
    gateway, node = Tickets(KEY, 30, clock), Tickets(KEY, 30, clock)
    ticket = gateway.issue("n", "softphone")
    node.redeem(ticket, "n")
    assert "used" in refused(node, ticket)
    node.redeem(gateway.issue("n", "softphone"), "n")


def test_it_is_for_one_node(clock: Clock) -> None:
    tickets = Tickets(KEY, 30, clock)
    assert "another node" in refused(tickets, tickets.issue("m", "softphone"))


def test_it_does_not_last(clock: Clock) -> None:
    tickets = Tickets(KEY, 30, clock)
    ticket = tickets.issue("n", "softphone")
    clock.now += 32
    assert "too old" in refused(tickets, ticket)


def test_it_cannot_be_replayed_after_it_was_forgotten(clock: Clock) -> None:
    tickets = Tickets(KEY, 30, clock)
    ticket = tickets.issue("n", "softphone")
    tickets.redeem(ticket, "n")
    clock.now += 300
    tickets.redeem(tickets.issue("n", "x"), "n")
    assert "too old" in refused(tickets, ticket)


@pytest.mark.parametrize("ticket", ["", "x", "gAAAA", "ü"])
def test_nonsense_is_refused(clock: Clock, ticket: str) -> None:
    refused(Tickets(KEY, 30, clock), ticket)


def test_another_clusters_ticket_is_refused(clock: Clock) -> None:
    other = Tickets(key("x" * 32, "tickets"), 30, clock)
    refused(Tickets(KEY, 30, clock), other.issue("n", "softphone"))
