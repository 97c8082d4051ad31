"""The library of a made-up company, Quillhaven: what its workspace has of each kind before any persona is created.

To add a kind, declare it in `octave_mcp/octave/library_kinds.py` and add its entries to `LIBRARY`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from octave_mcp.octave.library_kinds import BRAND_VOICES, OFFERINGS, PLAYBOOKS, RESOURCES, Kind

CREATED_AT = "2025-01-15T09:00:00.000Z"
"""When everything was created that is there from the start."""


@dataclass(frozen=True)
class Entry:
    """One thing in the library. `offering_oids` are those that it belongs to; an offering belongs to itself."""

    oid: str
    name: str
    description: str
    offering_oids: tuple[str, ...] = ()
    offering_type: str | None = None
    default: bool | None = None

    def row(self) -> dict[str, Any]:
        """Return the entry as Octave's list has it; only offerings have a type, only brand voices a default."""
        row = {"oId": self.oid, "name": self.name, "internalName": self.name, "description": self.description}
        data = {"summary": self.description, "type": self.offering_type}
        dates = {"active": True, "createdAt": CREATED_AT, "updatedAt": CREATED_AT}
        more = {"type": self.offering_type, "default": self.default, "data": _without_none(data)}
        return {**row, **dates, **_without_none(more)}


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


COMPANY = Entry("co_quillhaven", "Quillhaven", "Software for revenue and security teams.")

LIBRARY: Mapping[str, tuple[Entry, ...]] = {
    OFFERINGS.name: (
        Entry("o_forecast", "Quillhaven Forecast", "Sales forecasts from call notes.", ("o_forecast",), "PRODUCT"),
        Entry("o_trust", "Quillhaven Trust", "Answers to security questionnaires.", ("o_trust",), "PRODUCT"),
        Entry("o_launch", "Quillhaven Launch", "A guided start for new customers.", ("o_launch",), "SERVICE"),
    ),
    PLAYBOOKS.name: (
        Entry("pb_enterprise", "Enterprise Expansion", "From one region to all.", ("o_forecast", "o_trust")),
        Entry("pb_midmarket", "Mid-Market Quick Start", "A result this quarter.", ("o_forecast", "o_launch")),
        Entry("pb_security", "Security Review Rescue", "Deals that wait for a security review.", ("o_trust",)),
    ),
    BRAND_VOICES.name: (
        Entry("bv_founder", "Founder's Voice", "Plain and direct, and never oversells.", default=True),
        Entry("bv_formal", "Formal Voice", "Complete sentences for regulated industries.", default=False),
        Entry("bv_coach", "Friendly Coach", "Warm and encouraging, in small steps.", default=False),
    ),
    RESOURCES.name: (
        Entry("rs_sales_interviews", "Sales Leader Interviews", "Notes from twelve interviews with sales leaders."),
        Entry("rs_security_survey", "Security Buyer Survey", "A survey of ninety security leaders on how they buy."),
        Entry(
            "rs_onboarding_notes", "Customer Onboarding Notes", "What new customers said in their first ninety days."
        ),
    ),
}
"""The entries of each kind, by the kind's name."""

PROMISES = {
    COMPANY.oid: "give revenue and security teams one place for the answers that buyers ask for",
    "o_forecast": "turn the notes from every deal into a forecast that the board can trust",
    "o_trust": "answer security questionnaires from approved evidence, in hours instead of weeks",
    "o_launch": "bring a new customer live in thirty days with a team that has done it before",
}
"""What each offering can do, by oId."""

TONES = {
    "": "{offering} can {promise}",
    "bv_founder": "We built {offering} because we had this problem ourselves: it can {promise}",
    "bv_formal": "{offering} enables organisations to {promise}",
    "bv_coach": "The good news: with {offering} they can {promise}, one small step at a time",
}
"""A sentence in each brand voice, by oId; the first is without one."""

CONTENTS = {
    "rs_sales_interviews": "A VP of Sales spends Sunday evenings rebuilding the forecast from call notes. They coach "
    "new managers, review enterprise deals and negotiate quotas with finance. Missed forecasts and stale pipeline data "
    "cost them credibility with the board.",
    "rs_security_survey": "The CISO answers for vendor risk, audit evidence and incident response. Teams receive "
    "forty security questionnaires a month and answer them by hand. Slow security reviews hold up deals, and expired "
    "evidence comes to light only in the audit.",
    "rs_onboarding_notes": "A Head of Customer Success owns onboarding plans, training sessions and renewals. They "
    "need executive sponsors, clean data and a short list of early wins. Delayed data migrations and unclear ownership "
    "lead to churn.",
}
"""The text of each resource, by oId."""

EXAMPLES = {
    "VP of Sales": "rs_sales_interviews",
    "Chief Information Security Officer": "rs_security_survey",
    "Head of Customer Success": "rs_onboarding_notes",
}
"""The names of the personas that are there from the start, and the resource that each is written from."""


def entries(kind: Kind) -> tuple[Entry, ...]:
    """Return the entries of a kind; none if the company has none."""
    return LIBRARY.get(kind.name, ())


def find(kind: Kind, oid: str, *, by_name: bool = False) -> Entry | None:
    """Return the entry with this oId, or `by_name` with this name in any case; None if there is none."""
    wanted = oid.strip().casefold()
    named = (one for one in entries(kind) if by_name and one.name.casefold() == wanted)
    return next((one for one in entries(kind) if one.oid == oid), next(named, None))
