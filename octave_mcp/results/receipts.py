"""What a call asked for and no later look-up can show: offering, links, playbook, voice, and the sources."""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from octave_mcp.octave.models import GenerateRequest, PersonaRequest, Source
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.results.wording import first_few, quoted

MAX_DETAILED = 5
"""Personas whose sources are listed one by one; of more, the sources are counted."""

MAX_SOURCES = 4
"""Sources that are listed for each persona; more are counted."""

MAX_VALUE_CHARACTERS = 40
"""Characters of an oId, or of a resource's name."""


def receipt(request: GenerateRequest) -> str:
    """Return one line with what was asked for."""
    fields = fields_asked_for(request, unlinked="no linkingStrategy")
    return f"Asked for with: {'; '.join([*fields, sources_asked_for(request.personas)])}."


def fields_asked_for(
    request: GenerateRequest, *, unlinked: str, names: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """Return what all personas of a request share.

    `unlinked` are the words for one that links to no offering, and `names` has those that are known, by oId.
    """

    def shown_as(oid: str) -> str:
        name = quoted(names.get(oid))
        return f"{name} ({_short(oid)})" if name else _short(oid)

    shown = []
    if request.primaryOfferingOId:
        shown.append(f"primary offering (context) {shown_as(request.primaryOfferingOId)}")
    if linking := request.linkingStrategy:
        oids = [shown_as(oid) for oid in linking.offeringOIds or ()]
        shown.append(f"linked to offerings {first_few(oids, MAX_SOURCES)}" if oids else "linked to all offerings")
    else:
        shown.append(unlinked)
    shown += [f"playbook {shown_as(request.playbookOId)}"] if request.playbookOId else []
    shown += [f"brand voice {shown_as(request.brandVoiceOId)}"] if request.brandVoiceOId else []
    return shown


def sources_asked_for(personas: Sequence[PersonaRequest], *, unnamed: str = "personas[{}]") -> str:
    """Return the sources of each of a few personas by its name, or the sources of many in numbers.

    A persona without a name is called `unnamed`, with its place.
    """
    if len(personas) > MAX_DETAILED:
        every = [source for persona in personas for source in persona.sources]
        kinds = Counter(source.type for source in every)
        characters = sum(len(source.value) for source in every if source.type == "TEXT")
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        return f"sources: {counts}" + (f" ({characters:,} characters of TEXT)" if characters else "")
    each = []
    for place, persona in enumerate(personas):
        sources = first_few([_source(source) for source in persona.sources], MAX_SOURCES)
        each.append(f"{quoted(persona.name) or unnamed.format(place)} from {sources}")
    return "; ".join(each)


def _source(source: Source) -> str:
    if source.type == "TEXT":
        return f"TEXT of {len(source.value):,} characters"
    value = urlsplit(source.value).hostname or "" if source.type == "URL" else source.value
    return f"{source.type} {_short(value)}"


def _short(value: str) -> str:
    return shorten(clean(value[: 4 * MAX_VALUE_CHARACTERS]), MAX_VALUE_CHARACTERS)
