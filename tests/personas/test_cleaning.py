"""Text of others loses what deceives and keeps what its script needs."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octave_mcp.personas.cleaning import clean, clean_lines, shorten

NEEDED = {
    "Persian": "می\u200cخواهد داده\u200cها",
    "Arabic with vowels and a number sign": "بِسْمِ \u0600١٢",
    "Hebrew with points": "שָׁלוֹם",
    "Hindi half form and explicit virama": "क्\u200dष क्\u200cष",
    "Bengali ra-phala": "র\u200d\u09cdযাব",
    "Sinhala": "ක්\u200dෂ අවශ්\u200dයයි",
    "Malayalam chillu at the end of a word": "ന്\u200d",
    "Kannada": "ರ್\u200cಕ",
    "Khmer": "ប្រាក់",
    "Thai": "ที่นี่",
    "Tibetan stack": "རྒྱུད",
    "Mongolian": "ᠰᠠᠢᠨ\u180eᠠ ᠠ\u180b",
    "Vietnamese, decomposed": unicodedata.normalize("NFD", "Phụ trách vận hành"),
    "Korean": "한국어 데이터",
    "Japanese": "ガード、漢字",
    "emoji with a joiner": "👩\u200d💻 👨\u200d👩\u200d👧\u200d👦",
    "emoji with a selector and a joiner": "🏳\ufe0f\u200d🌈 ❤\ufe0f\u200d🔥 🙂\u200d↔\ufe0f",
    "emoji with a skin tone": "👩🏽\u200d🚀 👍🏿",
    "keycap": "1\ufe0f\u20e3 #\ufe0f\u20e3",
    "text presentation": "☎\ufe0e ℹ\ufe0f ‼\ufe0f",
    "European letters": "Müller & Söhne — naïve œuvre",
}


@pytest.mark.parametrize("script", NEEDED)
def test_what_a_script_needs_stays(script: str) -> None:
    """Text of each script comes out as it went in, character for character."""
    assert clean(NEEDED[script]) == NEEDED[script]
    assert clean_lines(NEEDED[script]) == NEEDED[script]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("VP\tof\r\nSales ", "VP of Sales"),
        ("a\u202ab\u202bc\u202cd\u202de\u202ef", "abcdef"),  # embeddings and overrides
        ("a\u2066b\u2067c\u2068d\u2069e", "abcde"),  # isolates
        ("א\u200eב\u200fג\u061cד", "אבגד"),  # implicit marks
        ("a\u200bb\u2060c\ufeffd\u00ade", "abcde"),  # zero-width space, word joiner, byte order mark, soft hyphen
        ("a\u200db x\u200cy", "ab xy"),  # joiners between letters that do not join
        ("می\u200c می\u200c\u200c\u200dخواهد", "می می\u200dخواهد"),  # at the end of a word, and many of them
        ("\u200d💻 👩\u200d x 👩\u200d\u200d💻", "💻 👩 x 👩\u200d💻"),
        ("hi\U000e0069\U000e0067\U000e006e", "hi"),  # tags
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴"),
        ("x\ufe0f😀\ufe0f\ufe0f漢\U000e0100\U000e01ef", "x😀\ufe0f漢"),  # selectors after what has none, and many
        ("1\ufe0f2", "12"),
        ("a\u180bb\u180ec", "abc"),
        ("x\u3164\u115f\u1160\uffa0\u17b4\u034fy", "xy"),  # letters and marks without a glyph
        ("⠓⠊\u2800⠍", "⠓⠊ ⠍"),  # the blank of Braille is a space
        ("\x1b[31mred\x00", "[31mred"),
        ("z" + "\u0301" * 50, "z" + "\u0301" * 4),
        ("ก" + "\u0e49" * 50, "ก" + "\u0e49" * 4),
        ("क" + "\u094d\u200d" * 9, "क" + "\u094d\u200d" * 3 + "\u094d"),
        ("a\ud800b\ue000c\U0010ffffd", "abcd"),  # lone surrogate, private use, unassigned
        ("a\ufff9b\ufffbc", "abc"),
        ("a\u2028b\u2029c\u0085d\u00a0e\u3000f", "a b c d e f"),
    ],
)
def test_what_is_invisible_or_deceives_is_removed(text: str, cleaned: str) -> None:
    """The same characters are removed that another script needs, where this one does not need them."""
    assert clean(text) == cleaned


ANYTHING = st.text(st.characters(codec=None, categories=None))
JOINED = st.text("a1\u05d0\u0633\u0915\u094d👩☎\u200c\u200d\ufe0f\u20e3\u0301\u180b\u1820 ")


@given(ANYTHING | JOINED)
def test_clean_text_is_one_visible_line(text: str) -> None:
    """Nothing in clean text hides, reorders or breaks a line, and cleaning it again changes nothing."""
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert cleaned == cleaned.strip()
    assert "\n" not in cleaned
    hidden = [one for one in cleaned if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}]
    assert {unicodedata.bidirectional(one) for one in hidden} <= {"BN", "AN", "AL", "L"}
    assert not {"\u200b", "\u200e", "\u200f", "\u00ad", "\ufeff"} & set(hidden)
    assert cleaned.encode().decode() == cleaned


@given(ANYTHING)
def test_lines_are_kept_and_each_is_clean(text: str) -> None:
    """Empty lines never stand in a row or at an end."""
    cleaned = clean_lines(text)
    assert clean_lines(cleaned) == cleaned
    assert clean(cleaned) == clean(text)
    assert "\n\n\n" not in cleaned
    assert cleaned == cleaned.strip("\n")


def test_a_list_and_a_table_keep_their_lines() -> None:
    """A text of several lines comes out as the person wrote it."""
    text = "Goals:\r\n- grow \u202e\r\n- stay\n\n\n \n| a | b |\n| - | - |\n"
    assert clean_lines(text) == "Goals:\n- grow\n- stay\n\n| a | b |\n| - | - |"


@given(st.text(), st.integers(1, 60))
def test_shortened_text_is_never_longer_than_asked(text: str, length: int) -> None:
    """A text that fits is returned as it is."""
    assert len(shorten(text, length)) <= length
    if len(text) <= length:
        assert shorten(text, length) == text


def test_text_is_shortened_at_a_word() -> None:
    """Words are not cut, since half of one may read as another."""
    assert shorten("Chief Information Security Officer", 20) == "Chief Information…"
