"""Persona records of the size that the real API answers with: about 1,100 tokens, no two alike."""

from typing import Any

from octave_mcp.octave.models import Persona
from octave_mcp.octave.sections import LIST_SECTIONS

_TEAMS = (
    "Security",
    "Revenue Operations",
    "Customer Success",
    "Platform Engineering",
    "Procurement",
    "Field Marketing",
)
_RANKS = ("Head of", "Vice President of", "Director of", "Group Lead for", "Chief of Staff to")
_VERBS = ("Shorten", "Protect", "Consolidate", "Forecast", "Standardise", "Automate", "Negotiate", "Document")
_THINGS = (
    "the quarterly vendor review without losing an audit trail",
    "access to customer data across three regions and two clouds",
    "overlapping tools so that the renewal budget holds for another year",
    "headcount against a pipeline that changes every week",
    "how new hires reach their first closed deal within ninety days",
    "evidence for the board that risk is going down and not sideways",
    "hand-overs between sales, onboarding and support",
    "the approval path for contracts above the regional threshold",
)
_WHY = (
    "They sign for the whole platform budget and are asked to defend it twice a year",
    "Their word decides whether a pilot becomes a rollout in the other regions",
    "They bring the champions of neighbouring teams into the evaluation early",
    "A reference from them opens doors at companies of the same size and industry",
)
_ROLES = ("Economic buyer", "Champion", "Technical evaluator", "Influencer")
_QUESTIONS = (
    "How many people approve a purchase of this size, and who can stop it?",
    "What happened the last time an audit asked for evidence at short notice?",
    "Which of your current tools would you switch off first, and why not yet?",
    "Is there a date by which this has to work, and what happens if it does not?",
)


def record(number: int) -> dict[str, Any]:
    """Return the JSON of one persona, as the API's page has it, different for each `number`."""
    team, rank = _TEAMS[number % len(_TEAMS)], _RANKS[number % len(_RANKS)]

    def lines(count: int, start: int) -> list[str]:
        return [
            f"{_VERBS[(number + start + i) % len(_VERBS)]} {_THINGS[(number * 3 + start + i) % len(_THINGS)]}"
            for i in range(count)
        ]

    return {
        "oId": f"pe_{number:04d}k{(number * 7919) % 9973:04x}",
        "name": f"{rank} {team}" + (f" {number + 1}" if number >= len(_TEAMS) * len(_RANKS) else ""),
        "internalName": f"{team} leader number {number + 1}",
        "description": f"Runs {team.lower()} at a mid-sized software company, answers to the executive board, and is "
        "measured on cost, risk and speed at the same time. Buys rarely, carefully, and with four other people.",
        "createdAt": "2026-02-03T10:11:12.000Z",
        "deletedAt": None,
        "archivedAt": None,
        "updatedAt": "2026-02-03T10:11:12.000Z",
        "unrecognized": False,
        "rejected": False,
        "active": True,
        "data": {
            **{section.key: lines(2, place) for place, section in enumerate(LIST_SECTIONS)},
            "internalName": f"{team} leader number {number + 1}",
            "buyingRole": [_ROLES[number % len(_ROLES)]],
            "primaryResponsibilities": lines(5, 0),
            "painPoints": lines(6, 2),
            "keyConcerns": lines(5, 4),
            "keyObjectives": lines(6, 1),
            "commonJobTitles": [f"{rank} {team}", f"{team} Manager", f"Global {team} Lead", f"{team} Programme Owner"],
            "whyTheyMatterToUs": [f"{_WHY[(number + i) % 4]}." for i in range(3)],
            "whyWeMatterToThem": lines(4, 3),
            "customFields": [
                {"title": "Buying committee", "value": ["Finance partner", "Security architect", "Regional manager"]},
                {"title": "Preferred channel", "value": ["A short written brief before any meeting"]},
            ],
        },
        "qualifyingQuestions": [
            {
                "question": _QUESTIONS[(number + i) % 4],
                "rationale": "It shows whether there is a decision to be made, by whom, and before when.",
                "fitType": "GOOD" if i % 2 == 0 else "BAD",
                "weight": ("LOW", "HIGH", "MEDIUM")[i % 3],
                "archivedAt": None,
            }
            for i in range(5)
        ],
        "user": {"oId": "u_1234", "firstName": "Sam", "lastName": "Example"},
        "workspace": {"oId": "wa_1234"},
    }


def personas(count: int) -> list[Persona]:
    """Return `count` personas as the client would have read them."""
    return [Persona.model_validate(record(number)) for number in range(count)]


TEXTS = {
    "English": "A director who answers for audits, budgets and the people who prepare both of them every quarter. ",
    "German": "Die Leiterin verantwortet Prüfungen, Haushalte und die Menschen, die beides jedes Quartal vorbereiten. ",
    "Japanese": "四半期ごとの監査と予算、そしてそれらを準備する人々に責任を持つ部長です。",
    "Emoji": "Owns audits 🧾🔍 and budgets 💶📉, with a team 👩‍💼👨🏽‍💻 that works late 🌙🕛. ",
}
"""One sentence in each of four kinds of text, which differ in tokens per character."""
