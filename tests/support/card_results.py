"""Tools' results in the shape that the persona cards receive, small enough to be read in a test."""

from typing import Any


def condensed(oid: str, name: str, **sections: Any) -> dict[str, Any]:
    """Return a condensed persona."""
    return {"oId": oid, "name": name, "description": f"{name} decides.", **sections}


CISO = condensed(
    "pe_1",
    "CISO",
    commonJobTitles=["CISO", "VP of Security"],
    keyObjectives=["Pass every audit", "Cut the time of vendor reviews by half"],
    painPoints=["Evidence is spread over many spreadsheets"],
    qualifyingQuestions=["Who answers for audits?"],
    disqualifyingQuestions=["Is security outsourced?"],
    leftOut={"keyObjectives": 2, "description": 1},
)
CFO = condensed("pe_2", "CFO", keyObjectives=["Close the books sooner", "Cut the time of vendor reviews by half"])
CTO = condensed("pe_3", "CTO", keyObjectives=["Ship weekly"], painPoints=["Evidence is spread over spreadsheets"])


def generation(*personas: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the structured result of a generation."""
    return {"generationId": "gen_1", "status": "complete", "personas": list(personas), "notes": ["A note."], **more}


def record(oid: str, name: str) -> dict[str, Any]:
    """Return the structured result of `get_persona`."""
    questions = [
        {"question": "Late?", "fitType": "GOOD", "weight": "LOW"},
        {"question": "Who pays?", "fitType": "GOOD", "weight": "HIGH", "rationale": "They decide."},
        {"question": "Outsourced?", "fitType": "BAD", "weight": "INSTANT_DISQUALIFIER"},
        {"question": "Old?", "fitType": "GOOD", "archived": True},
    ]
    fields = [{"title": "Region", "value": ["EMEA", "APAC"]}]
    return {
        "oId": oid,
        "name": name,
        "description": "All of it.",
        "keyObjectives": ["One", "Two", "Three"],
        "qualifyingQuestions": questions,
        "customFields": fields,
        "details": {"owner": "Ann"},
        "notes": [],
    }
