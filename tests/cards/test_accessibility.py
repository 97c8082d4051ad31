"""The cards for everybody: axe's rules for WCAG 2.2 AA in each view, in both themes, narrow and wide."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.card_results import CFO, CISO, CTO, condensed, generation, record
from support.cards_host import Host, call_result
from support.npm import script

Opener = Callable[..., Host]

FAILED = [
    {"personas": 'personas[3] "COO"', "problem": "Lost.", "code": "outcome_unknown", "mayExist": True},
    {"personas": 'personas[4] "CMO"', "problem": "No credits.", "code": "no_credits"},
]
MIXED = generation(
    CISO, CFO, {**CTO, "rejected": True, "buyingRole": ["Champion"]}, failed=FAILED, usage=3, generationId=""
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AUDIT = """axe.run({{runOnly: {rules}}}).then(({{violations}}) => violations.map(
  ({{id, nodes}}) => [id, ...nodes.slice(0, 3).map((node) => node.html.slice(0, 200) + ' ' + node.failureSummary)]))"""


def audited(host: Host) -> list[Any]:
    """Return what axe finds wrong with the page in the frame."""
    host.page.run(Path(script("axe-core", "axe.min.js")).read_text(encoding="utf-8") + ";0", in_frame=True)
    found: list[Any] = host.page.run(AUDIT.format(rules=RULES), in_frame=True)
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1100])
def test_no_view_breaks_a_rule(open_cards: Opener, theme: str, width: int) -> None:
    """Nor is anything wider than the window: what needs more room scrolls by itself."""

    def tool(_: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return call_result(record(arguments["oId"], "Someone"))

    host = open_cards(tool, context={"theme": theme}, width=width, height=4000)
    host.result(generation(status="pending", pending=['Being written: personas[0] "CISO".'], generationId=""))
    host.sees("0 of 1 ready")
    problems = {"pending": audited(host)}
    host.result(MIXED)
    host.sees("3 personas")
    problems["cards"] = audited(host)
    assert host.page.run("document.documentElement.scrollWidth <= innerWidth", in_frame=True)
    host.click("Full record")
    host.sees("Instant disqualifier")
    problems["record"] = audited(host)
    host.click("Back to the cards")
    host.click("Choose")
    host.click("Choose", place=1)
    host.click("Compare")
    host.sees("Comparison of 2")
    problems["comparison"] = audited(host)
    assert host.page.run("document.documentElement.scrollWidth <= innerWidth", in_frame=True)
    host.click("Export")
    host.sees("Full records.")
    problems["export"] = audited(host)
    assert {view: found for view, found in problems.items() if found} == {}


def test_a_text_runs_as_it_is_written(open_cards: Opener) -> None:
    """Each item from right to left or from left to right, with its bullet, in each view; the page's words from left."""
    questions = [{"question": "מי מחליט?", "weight": "HIGH", "rationale": "ok"}, {"question": "Who pays?"}]
    mixed = {"keyObjectives": ["לקצר ביקורות", "Ship weekly"], "qualifyingQuestions": questions}
    host = open_cards(capabilities={})
    host.result(generation(*(condensed(f"pe_{number}", "מנהלת אבטחה", **mixed) for number in range(2))))
    host.sees("לקצר")
    runs = "(tag) => [...document.querySelectorAll(tag)].map((one) => getComputedStyle(one).direction)"

    def directions(*tags: str) -> list[str]:
        return [one for tag in tags for one in host.page.run(f"({runs})({tag!r})", in_frame=True)]

    assert directions("li:first-child h2", "li:first-child h3") == ["rtl", "ltr", "ltr"]
    assert directions("li:first-child section li") == ["rtl", "ltr"] * 2
    host.click("Full record")
    assert host.sees("High")
    assert directions("section li") == ["rtl", "ltr"] * 2
    host.click("Back to the cards")
    for place in range(2):
        host.click("Choose", place=place)
    host.click("Compare")
    assert host.sees("Shared")
    assert directions("tbody:nth-of-type(2) td:first-child li") == ["rtl", "ltr"]
