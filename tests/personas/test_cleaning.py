"""Text of others is made safe, and measured on the safe side."""

import random
import string
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tokens import o200k

from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.tokens import estimate

PROSE = {
    "English": "Runs security for a mid-sized software company and is measured on cost, risk and speed at once.",
    "German": "Verantwortet die Sicherheitsstrategie und führt neue Richtlinien im gesamten Unternehmen ein.",
    "French": "Responsable de la sécurité, elle négocie les contrats et défend son budget chaque année.",
    "Spanish": "Dirige las operaciones de ingresos y necesita previsiones fiables antes del cierre de cada trimestre.",
    "Finnish": "Vastaa asiakkuuksien kehittämisestä ja haluaa lyhentää käyttöönottoa ilman ylimääräisiä kustannuksia.",
    "Polish": "Odpowiada za bezpieczeństwo danych i chce ograniczyć liczbę narzędzi używanych przez różne zespoły.",
    "Turkish": "Satış ekibinin hedeflerini belirler ve sözleşme onay sürecini kısaltmak için bütçe arar.",
    "Vietnamese": "Phụ trách vận hành doanh thu và cần dự báo đáng tin cậy trước khi kết thúc mỗi quý.",
    "Indonesian": "Bertanggung jawab atas keamanan data dan ingin mengurangi jumlah alat yang dipakai setiap tim.",
    "Russian": "Отвечает за безопасность данных и хочет сократить число инструментов в разных командах.",
    "Greek": "Είναι υπεύθυνη για την ασφάλεια των δεδομένων και θέλει λιγότερα εργαλεία σε κάθε ομάδα.",
    "Arabic": "مسؤول عن أمن البيانات ويريد تقليل عدد الأدوات التي تستخدمها الفرق المختلفة.",
    "Hebrew": "אחראי על אבטחת המידע ורוצה לצמצם את מספר הכלים שבהם משתמשים הצוותים.",
    "Hindi": "डेटा सुरक्षा के लिए ज़िम्मेदार हैं और अलग-अलग टीमों के उपकरणों की संख्या कम करना चाहते हैं।",
    "Bengali": "তথ্য নিরাপত্তার দায়িত্বে আছেন এবং বিভিন্ন দলের সরঞ্জামের সংখ্যা কমাতে চান।",
    "Tamil": "தரவு பாதுகாப்புக்குப் பொறுப்பானவர், குழுக்கள் பயன்படுத்தும் கருவிகளைக் குறைக்க விரும்புகிறார்.",
    "Thai": "รับผิดชอบความปลอดภัยของข้อมูลและต้องการลดจำนวนเครื่องมือที่แต่ละทีมใช้",
    "Japanese": "データのセキュリティを担当し、各チームが使うツールの数を減らしたいと考えています。",
    "Chinese": "负责数据安全，希望减少各团队使用的工具数量，并缩短合同审批流程。",
    "Korean": "데이터 보안을 책임지며 각 팀이 사용하는 도구의 수를 줄이고 싶어 합니다.",
    "Amharic": "የውሂብ ደህንነት ኃላፊ ሲሆን የመሳሪያዎችን ብዛት መቀነስ ይፈልጋል።",
    "Emoji": "🚀 Growth lead 💼📈 loves dashboards 📊, hates spreadsheets 😤🙅 and wins deals 🏆🎉",
}  # fmt: skip


@pytest.mark.parametrize("language", PROSE)
def test_prose_in_any_script_is_never_underestimated(language: str) -> None:
    """Measured with the real tokenizer."""
    text = PROSE[language] * 3
    assert o200k(text) <= estimate(text)


def _syllables(draw: random.Random) -> str:
    return "".join(draw.choice("bcdfghjklmnprstvwz") + draw.choice("aeiou") for _ in range(draw.randint(2, 5)))


@pytest.mark.parametrize(
    "word",
    [
        _syllables,
        lambda draw: _syllables(draw).capitalize(),
        lambda draw: _syllables(draw).capitalize() + _syllables(draw).capitalize(),
        lambda draw: (
            draw.choice(["zh", "ch", "sh", "x", "q", "j", "l", "m", "n"])
            + draw.choice(["ang", "iao", "ing", "ong", "uan", "ei", "ou"])
        ),
        lambda draw: f"{_syllables(draw)}-{draw.randint(1, 9999)}",
    ],
)
def test_words_that_nobody_knows_are_hardly_underestimated(word: Callable[[random.Random], str]) -> None:
    """Made-up names, in CamelCase too, transcribed Chinese, and what looks like a product's number."""
    draw = random.Random(5)
    text = " ".join(word(draw) for _ in range(400))
    assert o200k(text) <= 1.15 * estimate(text)


def test_english_is_not_overestimated_by_more_than_its_double() -> None:
    """What is set aside for nothing would be missed in the summaries."""
    assert estimate(PROSE["English"]) <= 2 * o200k(PROSE["English"])


@pytest.mark.parametrize(
    "alphabet",
    [
        *(string.ascii_lowercase, string.ascii_letters, string.ascii_uppercase, string.ascii_letters + string.digits),
        *("0123456789abcdef", string.digits, string.punctuation, string.printable),
        *("".join(map(chr, block)) for block in (range(0xC0, 0x250), range(0x391, 0x3CF), range(0x410, 0x450))),
        *("".join(map(chr, block)) for block in (range(0x620, 0x64B), range(0x905, 0x93A), range(0x3041, 0x30F4))),
        *(
            "".join(map(chr, block))
            for block in (range(0x4E00, 0x9FFF), range(0xAC00, 0xD7A3), range(0x1F300, 0x1F650))
        ),
        *(
            "".join(map(chr, block))
            for block in (range(0x12000, 0x12300), range(0x20000, 0x20100), range(0x2200, 0x2600))
        ),
    ],
)
def test_no_words_at_all_are_not_underestimated_by_more_than_a_twentieth(alphabet: str) -> None:
    """Characters drawn at random, in words of random length: an id, a hash, or an attempt."""
    draw = random.Random(7)
    text = " ".join("".join(draw.choices(alphabet, k=draw.randint(1, 12))) for _ in range(400))
    assert o200k(text) <= 1.05 * estimate(text)


@given(st.text(st.characters(codec=None, categories=None)))
def test_clean_text_is_one_visible_line(text: str) -> None:
    """Nothing in it hides, reorders, or breaks a line; and cleaning it again changes nothing."""
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert cleaned == cleaned.strip()
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not [character for character in cleaned if unicodedata.category(character) in hidden]
    assert cleaned.encode().decode() == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("VP\tof\r\nSales ", "VP of Sales"),
        ("a\u202eb\u2066c\u200bd\ufeffe", "abcde"),
        ("hi\U000e0069\U000e0067\U000e006e", "hi"),
        ("x\ufe0f\U000e0100\u3164y", "xy"),
        ("\x1b[31mred\x00", "[31mred"),
        ("z" + "\u0301" * 50, "z" + "\u0301" * 4),
        ("a\ud800b", "ab"),
        ("Müller & Söhne — 日本", "Müller & Söhne — 日本"),
    ],
)
def test_what_is_invisible_is_taken_out_and_the_rest_stays(text: str, cleaned: str) -> None:
    """Control, bidirectional, zero-width and tag characters, variation selectors, piles of marks."""
    assert clean(text) == cleaned


@given(st.text(), st.integers(1, 60))
def test_shortened_text_is_never_longer_than_asked(text: str, length: int) -> None:
    """And is the text itself where that fits."""
    assert len(shorten(text, length)) <= length
    if len(text) <= length:
        assert shorten(text, length) == text


def test_text_is_shortened_at_a_word() -> None:
    """A cut word may read as another."""
    assert shorten("Chief Information Security Officer", 20) == "Chief Information…"
