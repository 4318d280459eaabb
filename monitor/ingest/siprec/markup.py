"""XML as devices write it: read strictly first, then with what is usually wrong put right. Pure."""

import re
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

LONGEST = 64 * 1024
"""Bytes."""
_LOOSE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)")
"""An ampersand that begins no entity, as in the name of a company."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


class MetadataError(ValueError):
    """A document of which nothing can be used; the message says why."""


def read_xml(data: bytes) -> tuple[Element, str]:
    """Return the document's element, and what had to be put right; raises MetadataError.

    Document types and entities are never read.
    """
    if len(data) > LONGEST:
        raise MetadataError(f"longer than {LONGEST} bytes")
    try:
        return _parse(data), ""
    except DefusedXmlException as error:
        raise MetadataError("a document type or entity, which is not read") from error
    except (ParseError, ValueError, LookupError):
        # An encoding that is unknown, or not what the text is in, raises one of the last two.
        pass
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    text = _CONTROL.sub("", _DECLARATION.sub("", text)).strip()
    try:
        return _parse(
            _LOOSE.sub("&amp;", text).encode()
        ), "not well-formed XML, which was put right"
    except DefusedXmlException as error:
        raise MetadataError("a document type or entity, which is not read") from error
    except (ParseError, ValueError, LookupError) as error:
        raise MetadataError("not XML") from error


def _parse(data: bytes) -> Element:
    found: Element = fromstring(data, forbid_dtd=True)
    return found
