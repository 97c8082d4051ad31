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


def test_sentences_are_told_apart_by_the_words_in_them() -> None:
    """What hurts, what is wanted, and the rest; none in two places."""
    found = read("The audits are slow. They want one contract. Nobody wants manual work. It rains on Mondays. Short.")
    assert found.pains == ("The audits are slow.", "Nobody wants manual work.")
    assert found.wants == ("They want one contract.",)
    assert found.others == ("It rains on Mondays.",)


def test_a_sentence_that_is_said_twice_is_kept_once() -> None:
    """Lists do not repeat themselves."""
    assert read("Renewals are manual work.\n" * 50).pains == ("Renewals are manual work.",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Audits. Renewal dates matter. Budget rules. Renewal dates again.", ("renewal", "dates")),
        ("Carbon reports go out. Invoices are late. The CISO signs.", ("invoices", "carbon")),
        ("The CISO of the bank wants evidence", ("bank", "evidence")),
        ("監査対応とリスク管理に責任を持つ", ("監査対応", "リスク管理")),
        ("Einkauf und Lieferanten über alle Werke", ("einkauf", "Lieferanten")),
    ],
)
def test_words_that_stand_out_come_first(text: str, words: tuple[str, ...]) -> None:
    """By how often they are there, those of what hurts counting double; titles and small words do not count."""
    assert read(text).words[: len(words)] == words


def test_a_long_sentence_is_cut_between_words() -> None:
    """Shorter still where its characters cost more."""
    assert read("word " * 100).others[0].endswith("word…")
    assert len(read("あ" * 500).others[0]) == 81
