"""What is found in a source."""

import pytest

from octave_mcp.sandbox.reading import read
from octave_mcp.sandbox.titles import titles_in


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("A VP of Sales and Marketing at a bank", ["VP of Sales and Marketing"]),
        ("head of customer success at a fintech", ["Head of Customer Success"]),
        ("vp of sales", ["VP of Sales"]),
        ("CISOs and the CFO", ["CISO", "CFO"]),
        ("The Chief Information Security Officer reports to the CEO.", ["Chief Information Security Officer"]),
        ("Supply chain directors in retail", ["Supply Chain Director"]),
        ("Operations managers, Platform Engineers", ["Operations Manager", "Platform Engineer"]),
        ("SVP Engineering", ["SVP Engineering"]),
        ("Der Einkaufsleiter und die Leiterin Vertrieb", ["Einkaufsleiter", "Leiterin Vertrieb"]),
        ("最高情報セキュリティ責任者は", ["最高情報セキュリティ責任者"]),
        ("They heed advice on overhead of all kinds", []),
    ],
)
def test_job_titles_are_recognised(text: str, titles: list[str]) -> None:
    """In the singular, tidied, without superiors."""
    assert titles_in(text) == titles


@pytest.mark.parametrize(
    ("text", "actions", "topics"),
    [
        ("The CISO owns vendor risk.", ["own vendor risk"], ["vendor risk"]),
        ("Security teams own vendor risk.", ["own vendor risk"], ["vendor risk"]),
        ("Analysts review security alerts.", ["review security alerts"], ["security alerts"]),
        ("Procurement analytics drive savings targets.", ["drive savings targets"], ["savings targets"]),
        ("They quickly close enterprise deals.", ["close enterprise deals"], ["enterprise deals"]),
        ("responsible for managing the tech stack", ["manage the tech stack"], ["tech stack"]),
        ("She carries a quota and reports to the board", ["carry a quota"], []),
        ("slow approvals that block deals", [], ["approvals", "deals"]),
        ("supply chain and deployment speed", [], ["supply chain", "deployment speed"]),
        ("renewals important to the board", [], ["renewals"]),
        ("closing the quarter", [], []),
        ("200 enterprise accounts, and reliable", [], ["enterprise accounts"]),
        ("manage one two very long winding global procurement data platform project", [], ["data platform project"]),
    ],
)
def test_actions_and_topics_are_told_apart(text: str, actions: list[str], topics: list[str]) -> None:
    """A verb with an object is an action, in its base form; what it is about is a topic."""
    found = read(text)
    assert list(found.actions) == actions
    assert set(topics) <= set(found.topics)


def test_what_is_said_often_comes_first() -> None:
    """Else the order is the text's, phrases of several words first."""
    found = read("Audits. Renewal dates matter. Budget rules. Renewal dates again. Late invoices.")
    assert found.topics[0] == "renewal dates"
    assert found.problems == ("late invoices",)


def test_a_long_sentence_is_cut_between_words() -> None:
    """Shorter still where its characters cost more."""
    assert read("word " * 100).sentences[0].endswith("word…")
    assert len(read("あ" * 500).sentences[0]) == 81
