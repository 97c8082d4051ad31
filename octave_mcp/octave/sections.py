"""The sections of a persona, declared once: their names, how many items are worth showing, in what order.

`SECTIONS` feeds the models (a test compares them), the condensed and the full personas, the sandbox and the records of
the tests. To add a section, add its field to `PersonaData` and a line here.

The order is that in which a reader would miss the sections: somebody who writes to this person or decides whether to.
First the title to search for, what the person wants, and what hurts: without these there is no message. Then where they
work and what they decide; what we have to say to them; the question that tells best whether they fit. Then what holds
them back, what rules them out, and what they do all day. Why they matter to us, and what the team added in fields of
its own, come last: the sender knows these best.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Content(Enum):
    """The place and form of a section in Octave's record of a persona."""

    TEXT = auto()
    """One text, in the persona's own field."""

    LIST = auto()
    """A list of strings, in `data`."""

    QUESTIONS = auto()
    """The questions of one `fitType`, in `qualifyingQuestions`."""

    CUSTOM_FIELDS = auto()
    """The fields that the workspace added, in `data.customFields`."""


@dataclass(frozen=True)
class Section:
    """One section: its name in results, which is Octave's own where it has one, and its label in text."""

    key: str
    label: str
    content: Content
    shown: int
    """Items that a condensed persona shows if there is room; of a text, sentences."""


SECTIONS = (
    Section("commonJobTitles", "Job titles", Content.LIST, 2),
    Section("keyObjectives", "Objectives", Content.LIST, 3),
    Section("painPoints", "Pain points", Content.LIST, 3),
    Section("description", "Description", Content.TEXT, 2),
    Section("buyingRole", "Buying role", Content.LIST, 2),
    Section("whyWeMatterToThem", "Why we matter to them", Content.LIST, 2),
    Section("qualifyingQuestions", "Qualifying questions", Content.QUESTIONS, 2),
    Section("keyConcerns", "Concerns", Content.LIST, 2),
    Section("disqualifyingQuestions", "Disqualifying questions", Content.QUESTIONS, 2),
    Section("primaryResponsibilities", "Responsibilities", Content.LIST, 2),
    Section("whyTheyMatterToUs", "Why they matter to us", Content.LIST, 2),
    Section("customFields", "Custom fields", Content.CUSTOM_FIELDS, 2),
)
"""All sections, the one that would be missed most first."""

LIST_SECTIONS = tuple(section for section in SECTIONS if section.content is Content.LIST)
"""The sections that are lists of strings in a persona's `data`, where each is a field of `PersonaData`."""
