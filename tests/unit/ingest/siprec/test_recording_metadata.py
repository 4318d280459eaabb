"""SIPREC metadata as recorders of the field write it: who is heard in which stream."""

import pytest

from monitor.ingest.siprec.parties import voices
from monitor.ingest.siprec.recording_metadata import Metadata, MetadataError, read_metadata
from monitor.ingest.siprec.recording_offer import Line, read_offer


def lines(*labels: str, held: str = "") -> tuple[Line, ...]:
    text = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
    for label in labels:
        text += f"m=audio 30000 RTP/AVP 0\n{f'a=label:{label}' if label else 'a=ptime:20'}\n"
        text += "a=inactive\n" if label == held else "a=sendonly\n"
    return read_offer(text.replace("\n", "\r\n"))


def named(
    xml: str, *labels: str, before: Metadata | None = None, agents: tuple[str, ...] = ()
) -> tuple[list[str], Metadata]:
    """Whom the streams with these labels carry, and the metadata."""
    known = read_metadata(xml.encode()).over(before or Metadata())
    offered = lines(*labels)
    known = known.fitted([line.label for line in offered])
    return [v.participant for v in voices(offered, known, agents).values()], known


def document(*parts: str, mode: str = "complete") -> str:
    return f"<recording><datamode>{mode}</datamode>{''.join(parts)}</recording>"


def party(key: str, aor: str) -> str:
    return f'<participant participant_id="{key}"><nameID aor="{aor}"/></participant>'


def stream(key: str, label: str) -> str:
    return f'<stream stream_id="{key}"><label>{label}</label></stream>'


def heard(key: str, *streams: str, more: str = "") -> str:
    sent = "".join(f"<send>{s}</send>" for s in streams)
    return f'<participantstreamassoc participant_id="{key}">{sent}{more}</participantstreamassoc>'


TWO = party("p1", "sip:a@x"), party("p2", "sip:b@y"), stream("s1", "1"), stream("s2", "2")
SAID = heard("p1", "s1"), heard("p2", "s2")
OVER = "<disassociate-time>2026-01-01T10:00:00Z</disassociate-time>"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("sip:+15550100@carrier.example", "+15550100@carrier.example"),
        ("+15550100@carrier.example", "+15550100@carrier.example"),
        ("carrier.example", "carrier.example"),
        ("15550100", "15550100"),
        ("tel:+1-555-0100", "+1-555-0100"),
        ("sips:a@x.example:5061;transport=tls", "a@x.example-5061"),
        ("a@x.example:5060", "a@x.example-5060"),
        ("&lt;sip:a@x.example&gt;", "a@x.example"),
        ("&quot;Alice&quot; &lt;sip:a@x.example;user=phone&gt;", "a@x.example"),
        ("SIP:a@x.example?Replaces=1", "a@x.example"),
        ("sip:a:secret@x.example", "a@x.example"),
    ],
)
def test_addresses_with_and_without_their_scheme(address: str, name: str) -> None:
    xml = document(party("p", address), stream("s", "1"), heard("p", "s"))
    assert named(xml, "1")[0] == [name]


@pytest.mark.parametrize(
    ("address", "pattern", "ours"),
    [
        ("sip:7@desk.example", "sip:*@desk.example", True),
        ("7@desk.example", "sip:*@desk.example", True),
        ("sip:7@desk.example;user=phone", "sip:*@desk.example", True),
        ("sips:7@desk.example:5061", "sip:*@desk.example", True),
        ("sip:7@desk.example", "*@desk.example", True),
        ("tel:+49301", "tel:+4930*", True),
        ("+49301", "tel:+4930*", True),
        ("sip:7@desk.example.evil", "sip:*@desk.example", False),
        ("sip:7@other.example", "sip:*@desk.example", False),
    ],
)
def test_our_side_is_known_however_its_address_is_written(
    address: str, pattern: str, ours: bool
) -> None:
    known = read_metadata(document(party("p", address), stream("s", "1"), heard("p", "s")).encode())
    assert voices(lines("1"), known, (pattern,))["1"].scored is not ours


@pytest.mark.parametrize(
    ("xml", "labels", "names", "odd"),
    [
        (document(*TWO, *SAID), "12", ["a@x", "b@y"], 0),
        # Avaya SBCE: a stream that has no id yet, and a participant that is heard nowhere.
        (
            document(
                party("p1", "sip:a@x"), heard("p1", "s1"), party("p2", "sip:SBC@sbc"), heard("p2"),
                stream("s1", "1"), '<stream stream_id=""><label>2</label></stream>',
            ),
            "1", ["a@x"], 1,
        ),
        (document(*TWO, *SAID, "<participant/>", "<participantstreamassoc/>"), "12",
         ["a@x", "b@y"], 2),
        # No association at all: by order.
        (document(*TWO), "12", ["a@x", "b@y"], 1),
        (document(*TWO, heard("p1"), heard("p2")), "12", ["a@x", "b@y"], 1),
        (document(*TWO[:3]), "1", ["a@x+b@y"], 1),
        (document(TWO[0], *TWO[2:]), "12", ["stream 1", "stream 2"], 0),
        # Labels that are missing on one side, or are other ones.
        (document(*TWO, *SAID).replace("<label>1</label>", "").replace("<label>2</label>", ""),
         "12", ["a@x", "b@y"], 0),
        (document(*TWO, *SAID), ("", ""), ["a@x", "b@y"], 0),
        (document(*TWO, *SAID), ("10", "20"), ["a@x", "b@y"], 1),
        (document(*TWO, *SAID), ("2", "20"), ["b@y", "stream 20"], 0),
        # A company's name, and a page of code that does not fit.
        (document(*TWO, *SAID, '<participant participant_id="p3"><nameID><name>A & B</name>'
                  "</nameID></participant>"), "12", ["a@x", "b@y"], 1),
        ('\ufeff  <?xml version="1.0" encoding="nonsense"?>' + document(*TWO, *SAID), "12",
         ["a@x", "b@y"], 1),
        (document(*TWO, *SAID, mode=" Complete "), "12", ["a@x", "b@y"], 0),
        # A draft: the address as an element, outside of nameID, and ids in elements of their own.
        (document('<participant id="p1"><nameID><aor>sip:a@x</aor></nameID></participant>',
                  '<stream id="s1"><label>1</label></stream>',
                  '<participantstreamassoc id="p1"><send id="s1"/></participantstreamassoc>'),
         "1", ["a@x"], 0),
        # Associations that ended before the session was recorded.
        (document(*TWO, *SAID, party("p3", "sip:c@z"), heard("p3", "s1", more=OVER)), "12",
         ["a@x", "b@y"], 0),
        (document(*(party(f"p{n}", f"sip:{n}@x") for n in range(70)), *TWO[2:],
                  heard("p1", "s1"), heard("p2", "s2")), "12", ["1@x", "2@x"], 1),
    ],
)  # fmt: skip
def test_what_can_be_used_is_used(
    xml: str, labels: tuple[str, ...], names: list[str], odd: int
) -> None:
    found, known = named(xml, *labels)
    assert found == names
    assert len(known.passed_over) == odd


def test_whoever_is_only_guessed_at_is_scored() -> None:
    known = read_metadata(document(*TWO).encode())
    assert all(v.scored for v in voices(lines("1", "2"), known, ("sip:*@y",)).values())
    known = read_metadata(document(*TWO, *SAID).encode())
    assert [v.scored for v in voices(lines("1", "2"), known, ("sip:*@y",)).values()] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("update", "names"),
    [
        # RFC 7865: what has ended has a disassociate-time.
        (heard("p1", "s1", more=OVER), ["stream 1", "b@y"]),
        (heard("p1", more=OVER), ["stream 1", "b@y"]),
        (heard("p1", "s1", more=OVER) + party("p3", "sip:c@z") + heard("p3", "s1"),
         ["c@z", "b@y"]),
        (heard("p1", "s1", more=OVER) + heard("p1", "s2"), ["stream 1", "a@x+b@y"]),
        (heard("p2", "s9", more=OVER), ["a@x", "b@y"]),
        ('<participantsessionassoc participant_id="p2" session_id="x">' + OVER
         + "</participantsessionassoc>", ["a@x", "stream 2"]),
        (heard("p2"), ["a@x", "stream 2"]),
        (heard("p2", "s1"), ["a@x+b@y", "stream 2"]),
        ('<stream stream_id="s1" session_id="x"/>', ["a@x", "b@y"]),
        (party("p1", "sip:c@z"), ["c@z", "b@y"]),
        ("", ["a@x", "b@y"]),
    ],
)  # fmt: skip
def test_a_partial_update_says_what_has_changed(update: str, names: list[str]) -> None:
    before = read_metadata(document(*TWO, *SAID).encode())
    assert named(document(update, mode="partial"), "1", "2", before=before)[0] == names


def test_a_stream_on_hold_stays_whose_it_was() -> None:
    before = read_metadata(document(*TWO, *SAID).encode())
    carried = voices(lines("1", "2"), before)
    update = document(heard("p1", "s1", more=OVER), mode="partial")
    known = read_metadata(update.encode()).over(before)
    held = voices(lines("1", "2", held="1"), known, before=carried)
    assert held["1"] == carried["1"]
    assert voices(lines("1", "2"), known, before=carried)["1"].participant == "stream 1"


@pytest.mark.parametrize("xml", ["", "<recording", "<html/>", "<!DOCTYPE a><recording/>", "\x00"])
def test_a_document_of_which_nothing_can_be_used_is_refused(xml: str) -> None:
    with pytest.raises(MetadataError):
        read_metadata(xml.encode())
