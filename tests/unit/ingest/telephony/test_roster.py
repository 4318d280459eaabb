"""What people of a meeting are called."""

import pytest

from monitor.ingest.connection.room import MOST
from monitor.ingest.telephony.dialect import MessageError
from monitor.ingest.telephony.roster import LONGEST_NAME, Roster


def test_everybody_has_a_name_of_their_own() -> None:
    roster = Roster()
    assert roster.name("1", "Ann") == "Ann"
    assert roster.name("2", "Ann") == "Ann 2"
    assert roster.name("3") == "user 3"
    assert roster.name("") == "unnamed"
    roster.announce("4", "Bob <b>")
    assert roster.name("4") == "Bob -b-"
    assert len(roster.name("5", "x" * 500)) <= LONGEST_NAME
    assert len(roster.name("6", "x" * 500)) <= LONGEST_NAME
    assert roster.name("5") != roster.name("6")


def test_whoever_comes_back_is_who_they_were_and_nobody_else_is() -> None:
    roster = Roster()
    assert roster.name("1", "Ann") == "Ann"
    assert roster.leave("1") == "Ann"
    assert roster.leave("1") is None
    assert roster.leave("never seen") is None
    assert roster.name("2", "Ann") == "Ann 2"
    assert roster.name("1", "Ann who is called otherwise now") == "Ann"


def test_of_too_many_the_first_are_monitored_and_a_place_becomes_free() -> None:
    roster = Roster()
    for number in range(MOST):
        roster.name(str(number))
    with pytest.raises(MessageError, match="more than 16 at once"):
        roster.name("late")
    assert roster.name("3") == "user 3"
    roster.leave("3")
    assert roster.name("late") == "user late"
