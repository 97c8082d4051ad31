"""The workspace of a made-up company, Quillhaven, and its rows as Octave's API lists them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from octave_mcp.sandbox.wording import COACH, FORMAL, FOUNDER, Tone

__all__ = ["LIBRARY", "BrandVoice", "Library", "Offering", "Playbook", "Resource"]

CREATED_AT = "2025-01-15T09:00:00.000Z"
"""Everything that is in the library from the start was made then."""


@dataclass(frozen=True)
class Offering:
    """Something that the company sells. `promise` completes "it can …"."""

    oid: str
    name: str
    promise: str
    summary: str = ""
    kind: str = "PRODUCT"

    def row(self) -> dict[str, Any]:
        """The offering as `product/list` has it."""
        data = {"type": self.kind, "summary": self.summary, "valueProposition": f"It can {self.promise}."}
        return _row(self.oid, self.name, self.summary) | {"internalName": self.name, "type": self.kind, "data": data}


@dataclass(frozen=True)
class Playbook:
    """A way of selling certain offerings to certain companies."""

    oid: str
    name: str
    summary: str
    offering_oids: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """The playbook as `playbook/list` has it."""
        return _row(self.oid, self.name, self.summary) | {"productOIds": list(self.offering_oids)}


@dataclass(frozen=True)
class BrandVoice:
    """A way of talking."""

    oid: str
    name: str
    summary: str
    tone: Tone
    default: bool = False

    def row(self) -> dict[str, Any]:
        """The brand voice as `brand-voice/list` has it."""
        row = _row(self.oid, self.name, self.summary)
        return row | {"default": self.default, "data": {"summary": self.summary}}


@dataclass(frozen=True)
class Resource:
    """A document that personas can be written from."""

    oid: str
    name: str
    content: str

    def row(self) -> dict[str, Any]:
        """The resource as `resource/list` has it."""
        return _row(self.oid, self.name, self.content.split(". ")[0] + ".")


@dataclass(frozen=True)
class Library:
    """What a workspace has before any persona is generated, by oId."""

    company: Offering
    offerings: Mapping[str, Offering]
    playbooks: Mapping[str, Playbook]
    voices: Mapping[str, BrandVoice]
    resources: Mapping[str, Resource]
    examples: Mapping[str, str] = field(default_factory=dict)
    """Names of the personas that are there from the start, and the resource that each is written from."""

    def resource(self, name_or_oid: str) -> Resource | None:
        """The resource of that name, in any case of letters, or oId."""
        wanted = name_or_oid.strip().casefold()
        every = self.resources.values()
        return next((one for one in every if wanted in {one.oid.casefold(), one.name.casefold()}), None)


def _row(oid: str, name: str, description: str) -> dict[str, Any]:
    return {
        "oId": oid,
        "name": name,
        "description": description,
        "active": True,
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
    }


_OFFERINGS = (
    Offering(
        "o_forecast",
        "Quillhaven Forecast",
        "turn the notes from every deal into a forecast that the board can trust",
        "Reads call notes and calendars, and keeps the sales forecast up to date without data entry.",
    ),
    Offering(
        "o_trust",
        "Quillhaven Trust",
        "answer security questionnaires from approved evidence, in hours instead of weeks",
        "Keeps audit evidence and approved answers in one place, and fills in security questionnaires from them.",
    ),
    Offering(
        "o_launch",
        "Quillhaven Launch",
        "bring a new customer live in thirty days with a team that has done it before",
        "A guided start for new customers: data moved, team trained, first report delivered.",
        "SERVICE",
    ),
)

_PLAYBOOKS = (
    Playbook(
        "pb_enterprise",
        "Enterprise Expansion",
        "Large companies that use one product in one region, and have a reason to roll it out to the others.",
        ("o_forecast", "o_trust"),
    ),
    Playbook(
        "pb_midmarket",
        "Mid-Market Quick Start",
        "Companies of 200 to 1,000 people who want a result this quarter and have no project team.",
        ("o_forecast", "o_launch"),
    ),
    Playbook(
        "pb_security",
        "Security Review Rescue",
        "Vendors whose deals are held up by the security reviews of their buyers.",
        ("o_trust",),
    ),
)

_VOICES = (
    BrandVoice(
        "bv_founder",
        "Founder's Voice",
        'Plain and direct. Says "we", tells what we did, and never oversells.',
        FOUNDER,
        default=True,
    ),
    BrandVoice("bv_formal", "Formal Voice", "Complete, measured sentences for regulated industries.", FORMAL),
    BrandVoice("bv_coach", "Friendly Coach", "Warm and encouraging, in small steps.", COACH),
)

_RESOURCES = (
    Resource(
        "rs_sales_interviews",
        "Sales Leader Interviews",
        "Notes from twelve interviews with sales leaders at software companies. A VP of Sales spends Sunday evenings "
        "rebuilding the forecast from call notes. They coach new managers, review enterprise deals and negotiate "
        "quotas with finance. Missed forecasts and stale pipeline data cost them credibility with the board.",
    ),
    Resource(
        "rs_security_survey",
        "Security Buyer Survey",
        "A survey of ninety security leaders on how they buy. The CISO answers for vendor risk, audit evidence and "
        "incident response. Teams receive forty security questionnaires a month and answer them by hand. Slow "
        "security reviews hold up deals, and expired evidence comes to light only in the audit.",
    ),
    Resource(
        "rs_onboarding_notes",
        "Customer Onboarding Notes",
        "What new customers told us in their first ninety days. A Head of Customer Success owns onboarding plans, "
        "training sessions and first-year renewals. They need executive sponsors, clean data and a short list of early "
        "wins. Delayed data migrations and unclear ownership lead to churn.",
    ),
)

LIBRARY = Library(
    company=Offering(
        "co_quillhaven", "Quillhaven", "give revenue and security teams one place for the answers that buyers ask for"
    ),
    offerings={one.oid: one for one in _OFFERINGS},
    playbooks={one.oid: one for one in _PLAYBOOKS},
    voices={one.oid: one for one in _VOICES},
    resources={one.oid: one for one in _RESOURCES},
    examples={
        "VP of Sales": "rs_sales_interviews",
        "Chief Information Security Officer": "rs_security_survey",
        "Head of Customer Success": "rs_onboarding_notes",
    },
)
