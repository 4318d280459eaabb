"""Who speaks in which stream of a recording session: SIPREC metadata (RFC 7865). Pure.

    <participant participant_id=P><nameID aor="sip:+15550100@example"/>   who there is
    <stream stream_id=S><label>1</label>                                  a=label:1 of the SDP
    <participantstreamassoc participant_id=P><send>S</send>               P is heard in S

Names of elements are read without their namespace, and ids by either of two names: recorders of
the drafts that came before the RFC are still in use.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

LONGEST = 64 * 1024
"""Bytes."""
_MOST = 64
"""Participants, streams and sessions each; a conference that is recorded has a handful."""
_LONGEST_WORD = 256
"""Characters of an id, a label or a name."""


class MetadataError(ValueError):
    """Metadata that cannot be used; the message says why."""


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
    session: str = ""
    """How the recording client names the call."""
    complete: bool = True
    """Whether what came before is void."""

    def over(self, before: "Metadata") -> "Metadata":
        """Return what is known once this has come after `before`."""
        if self.complete:
            return self
        return Metadata(
            {**before.parties, **self.parties},
            {**before.labels, **self.labels},
            {**before.sends, **self.sends},
            self.session or before.session,
        )

    def speakers(self, label: str) -> tuple[Party, ...]:
        """Return who is heard in the stream with this SDP label; several if it is a mixture."""
        streams = {stream for stream, found in self.labels.items() if found == label}
        return tuple(
            party for key, party in self.parties.items() if streams & set(self.sends.get(key, ()))
        )


def read_metadata(xml: bytes) -> Metadata:
    """Read a document; raises MetadataError."""
    if len(xml) > LONGEST:
        raise MetadataError(f"longer than {LONGEST} bytes")
    try:
        root: Element = fromstring(xml, forbid_dtd=True)
    except ParseError as error:
        raise MetadataError("not XML") from error
    except DefusedXmlException as error:
        raise MetadataError("a document type or entity, which is not read") from error
    except (ValueError, LookupError) as error:
        # An encoding that is unknown, or not what the text is in.
        raise MetadataError("an encoding that cannot be read") from error
    if _local(root) != "recording":
        raise MetadataError("not a <recording>")
    mode = next(_texts(root, "datamode"), "complete").lower()
    if mode not in ("complete", "partial"):
        raise MetadataError("<datamode> must be complete or partial")
    parties = {_id(e, "participant"): _party(e) for e in _children(root, "participant")}
    labels = {}
    for stream in _children(root, "stream"):
        labels[_id(stream, "stream")] = next(_texts(stream, "label"), "")
    sends: dict[str, tuple[str, ...]] = {}
    for kind in ("participantstreamassoc", "participant"):
        for element in _children(root, kind):
            # Drafts had <send> within <participant>.
            found = tuple(_texts(element, "send"))
            if found or kind == "participantstreamassoc":
                key = _id(element, "participant")
                sends[key] = (*sends.get(key, ()), *found)
    sessions = [e for e in _children(root, "session")]
    named = [text for e in sessions for text in _texts(e, "sipsessionid")]
    session = named[0] if named else _id(sessions[0], "session") if sessions else ""
    if max(len(parties), len(labels), len(sends), len(sessions)) > _MOST:
        raise MetadataError(f"more than {_MOST} participants or streams")
    return Metadata(parties, labels, sends, session, mode == "complete")


def _party(element: Element) -> Party:
    for child in _children(element, "nameid"):
        address = _word(child.get("aor", ""))
        return Party(address, next(_texts(child, "name"), ""))
    return Party("", next(_texts(element, "name"), ""))


def _children(parent: Element, name: str) -> Iterator[Element]:
    return (child for child in parent if _local(child) == name)


def _texts(parent: Element, name: str) -> Iterator[str]:
    for child in _children(parent, name):
        yield _word((child.text or "").strip())


def _id(element: Element, kind: str) -> str:
    found = element.get(f"{kind}_id") or element.get("id") or ""
    if not found:
        raise MetadataError(f"<{_local(element)}> without {kind}_id")
    return _word(found)


def _word(text: str) -> str:
    if len(text) > _LONGEST_WORD:
        raise MetadataError(f"a name of more than {_LONGEST_WORD} characters")
    return text


def _local(element: Element) -> str:
    """Name without namespace, in lower case."""
    return str(element.tag).rpartition("}")[2].lower()
