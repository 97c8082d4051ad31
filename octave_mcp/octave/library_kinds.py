"""The kinds of things in a workspace's library, declared once: what Octave calls them and where it lists them.

`KINDS` has a `Kind` for each name, such as `KINDS["offerings"]`. It feeds the client and its look-ups, the schema and
the argument check of `list_library`, the advice in error messages, and the sandbox's routes. To add a kind, add a line
here and rows for it to `octave_mcp/sandbox/library.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of thing that a workspace's library holds."""

    name: str
    """In the plural, as `list_library` takes it."""

    path: str
    """The path of Octave's list."""

    used_for: tuple[str, ...]
    """The parts of a `generate_personas` body that name one: fields that take its oId, or a type of source."""

    words: tuple[str, ...]
    """Words in an error message of Octave's that point to this kind, in lower case."""

    searchable: bool = False
    """True if Octave's list takes `text`. The others are read to their end and searched here."""

    nested: bool = False
    """True if Octave puts the whole page inside of `data`. The client reads any shape; the sandbox has this one."""

    def with_uses(self, pattern: str) -> str:
        """Return the name and what it is used for, as `pattern` joins them; the name alone if nothing takes its oId."""
        return pattern.format(self.name, " and ".join(self.used_for)) if self.used_for else self.name


OFFERINGS = Kind(
    "offerings",
    "/api/v2/product/list",
    ("primaryOfferingOId", "offeringOIds"),
    ("offering", "product"),
    searchable=True,
)
PLAYBOOKS = Kind("playbooks", "/api/v2/playbook/list", ("playbookOId",), ("playbook",), searchable=True)
BRAND_VOICES = Kind("brand_voices", "/api/v2/brand-voice/list", ("brandVoiceOId",), ("voice",), nested=True)
RESOURCES = Kind("resources", "/api/v2/resource/list", ("RESOURCE sources",), ("resource",))

KINDS = {kind.name: kind for kind in (OFFERINGS, PLAYBOOKS, BRAND_VOICES, RESOURCES)}
"""All kinds by name, in the order in which they are offered."""


def kind_in_message(message: str) -> Kind | None:
    """Return the kind that an error message of Octave's points to; None if it points to none, or to several."""
    text = message.lower()
    named = [kind for kind in KINDS.values() if any(word in text for word in kind.words)]
    return named[0] if len(named) == 1 else None
