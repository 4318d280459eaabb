"""Who speaks in which stream of a recording session: SIPREC metadata (RFC 7865). Pure.

    <participant participant_id=P><nameID aor="sip:+15550100@example"/>   who there is
    <stream stream_id=S><label>1</label>                                  a=label:1 of the SDP
    <participantstreamassoc participant_id=P><send>S</send>               P is heard in S

Names of elements are read without their namespace, and ids by either of two names: recorders of
the drafts that came before the RFC are still in use. What cannot be used is passed over and named;
a document is refused only if nothing in it can be used.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element

from monitor.ingest.siprec.markup import LONGEST, MetadataError, read_xml

__all__ = ["LONGEST", "Metadata", "MetadataError", "Party", "read_metadata"]

_MOST = 64
"""Participants, streams and sessions each; a conference that is recorded has a handful."""
_LONGEST_WORD = 256
"""Characters of an id, a label or a name."""
_ROOTS = ("recording", "recording_metadata")
"""That of RFC 7865, and that of a draft which BroadWorks and Webex Calling speak."""


@dataclass(frozen=True, slots=True)
class Party:
    """A participant of the recorded call."""

    address: str
    """Its address of record, such as sip:+15550100@example; may be empty."""
    name: str
    """What people call it; may be empty."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of a recorded call."""

    parties: Mapping[str, Party] = field(default_factory=dict)
    """By participant id."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """SDP labels by stream id."""
    sends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Ids of the streams in which a participant is heard, by participant id."""
    left: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Ids of the streams in which a participant is heard no more; none of them means all."""
    session: str = ""
    """How the recording client names the call."""
    complete: bool = True
    """Whether what came before is void."""
    guessed: bool = False
    """Whether who speaks where is not said, but taken from the order of the document."""
    passed_over: tuple[str, ...] = ()
    """What could not be used, in words."""

    def over(self, before: "Metadata") -> "Metadata":
        """Return what is known once this has come after `before`."""
        if self.complete:
            return self
        labels = {**before.labels, **self.labels}
        sends = {**before.sends, **self.sends}
        for party, streams in self.left.items():
            # None named: all. Who is heard elsewhere from now on has left one for another.
            still = before.sends.get(party, ()) if streams else ()
            kept = [s for s in still if s not in streams]
            sends[party] = tuple(dict.fromkeys([*kept, *self.sends.get(party, ())]))
        return replace(
            self,
            parties={**before.parties, **self.parties},
            labels=labels,
            sends=sends,
            left={},
            session=self.session or before.session,
            guessed=self.guessed if self.sends else before.guessed,
        )

    def fitted(self, labels: Sequence[str]) -> "Metadata":
        """Return metadata for an SDP with these labels: by order, if none of its own is there."""
        heard = [s for s in self.labels if any(s in sent for sent in self.sends.values())]
        if not heard or len(heard) != len(labels) or set(self.labels.values()) & set(labels):
            return self
        odd = "no <label> is one of the SDP's: streams are taken in order"
        paired = dict(zip(heard, labels, strict=True))
        return replace(self, labels=paired, guessed=True, passed_over=(*self.passed_over, odd))

    def speakers(self, label: str) -> tuple[Party, ...]:
        """Return who is heard in the stream with this SDP label; several if it is a mixture."""
        streams = {stream for stream, found in self.labels.items() if found == label}
        return tuple(
            party for key, party in self.parties.items() if streams & set(self.sends.get(key, ()))
        )


def read_metadata(xml: bytes) -> Metadata:
    """Read a document; raises MetadataError if nothing in it can be used."""
    root, odd = read_xml(xml)
    if _local(root) not in _ROOTS:
        raise MetadataError("not a <recording>")
    reader = _Reader([odd] if odd else [])
    mode = next(_texts(root, "datamode"), "complete").lower()
    if mode not in ("complete", "partial"):
        reader.odd.append("<datamode> is neither complete nor partial")
    return reader.read(root, mode != "partial")


class _Reader:
    """Gathers what can be used of one document."""

    def __init__(self, odd: list[str]) -> None:
        self.odd = odd
        self._parties: dict[str, Party] = {}
        self._labels: dict[str, str] = {}
        self._sends: dict[str, tuple[str, ...]] = {}
        self._left: dict[str, tuple[str, ...]] = {}

    def read(self, root: Element, complete: bool) -> Metadata:
        """Read the document's element."""
        for key, element in self._named(root, "participant"):
            self._parties[key] = _party(element)
        for place, (key, element) in enumerate(self._named(root, "stream")):
            label = next(_texts(element, "label"), "")
            # Sections of SDP without a label are counted, too. An update may say but what changes.
            if label or complete:
                self._labels[key] = label or str(place + 1)
        for kind in ("participantstreamassoc", "participant"):
            for key, element in self._named(root, kind):
                # Drafts had <send> within <participant>.
                sent = tuple(_sends(element))
                if sent or kind == "participantstreamassoc":
                    self._associate(key, sent, _over(element))
        for key, element in self._named(root, "participantsessionassoc"):
            if _over(element):
                self._left[key] = ()
                self._sends.pop(key, None)
        associated = any(self._sends.values()) or bool(self._left)
        guessed = complete and not associated and self._guess()
        sessions = list(_children(root, "session"))
        named = [text for e in sessions for text in _texts(e, "sipsessionid") if text]
        ids = [found for e in sessions if (found := _id(e, "session"))]
        session = (named or ids or [""])[0]
        odd = tuple(dict.fromkeys(self.odd))
        return Metadata(
            self._parties, self._labels, self._sends, self._left, session, complete, guessed, odd
        )

    def _named(self, root: Element, kind: str) -> Iterator[tuple[str, Element]]:
        """Elements that have an id; without one nothing can refer to them."""
        count = 0
        for element in _children(root, kind):
            key = _id(element, kind.removesuffix("streamassoc").removesuffix("sessionassoc"))
            if not key:
                self.odd.append(f"a <{kind}> without id")
            elif (count := count + 1) > _MOST:
                self.odd.append(f"more than {_MOST} <{kind}>")
                return
            else:
                yield key, element

    def _associate(self, party: str, streams: tuple[str, ...], over: bool) -> None:
        known = self._sends.get(party, ())
        if over:
            self._left[party] = (*self._left.get(party, ()), *streams)
        else:
            self._sends[party] = (*known, *streams)

    def _guess(self) -> bool:
        """Give streams to participants in their order, where nothing says who speaks where."""
        parties, streams = list(self._parties), list(self._labels)
        if not parties or not streams or len(streams) not in (1, len(parties)):
            return False
        self.odd.append("nothing says who speaks in which stream: taken in order")
        for place, party in enumerate(parties):
            self._sends[party] = (streams[place] if len(streams) > 1 else streams[0],)
        return True


def _party(element: Element) -> Party:
    """Read a participant; drafts have its address as an element, and outside of <nameID>."""
    inside = list(_children(element, "nameid"))
    address = name = ""
    for child in (*inside, element):
        address = address or _word(child.get("aor", "")) or next(_texts(child, "aor"), "")
        name = name or next(_texts(child, "name"), "")
    return Party(address, name)


def _sends(element: Element) -> Iterator[str]:
    """Ids of streams that an element says somebody is heard in."""
    for send in _children(element, "send"):
        for text in ((send.text or "").strip(), send.get("id", ""), *_texts(send, "id")):
            if text:
                yield _word(text)


def _over(element: Element) -> bool:
    """Whether an association has ended."""
    return any(_texts(element, "disassociate-time")) or any(_texts(element, "disassociatetime"))


def _children(parent: Element, name: str) -> Iterator[Element]:
    return (child for child in parent if _local(child) == name)


def _texts(parent: Element, name: str) -> Iterator[str]:
    for child in _children(parent, name):
        yield _word((child.text or "").strip())


def _id(element: Element, kind: str) -> str:
    return _word((element.get(f"{kind}_id") or element.get("id") or "").strip())


def _word(text: str) -> str:
    return text[:_LONGEST_WORD]


def _local(element: Element) -> str:
    """Name without namespace, in lower case."""
    return str(element.tag).rpartition("}")[2].lower()
