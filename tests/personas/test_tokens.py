"""The estimate of tokens stays above the real number, for all that people and programs write, and not far above."""

import base64
import json
import random
import string
import uuid
from collections.abc import Callable

import pytest
from support.records import record
from support.tokens import o200k

from octave_mcp.personas.tokens import cost, estimate

PROSE = {
    "English": "Runs security for a mid-sized software company and is measured on cost, risk and speed at once.",
    "German": "Verantwortet die Sicherheitsstrategie und führt neue Richtlinien im gesamten Unternehmen ein.",
    "French": "Responsable de la sécurité, elle négocie les contrats et défend son budget chaque année.",
    "Spanish": "Dirige las operaciones de ingresos y necesita previsiones fiables antes del cierre de cada trimestre.",
    "Finnish": "Vastaa asiakkuuksien kehittämisestä ja haluaa lyhentää käyttöönottoa ilman ylimääräisiä kustannuksia.",
    "Polish": "Odpowiada za bezpieczeństwo danych i chce ograniczyć liczbę narzędzi używanych przez różne zespoły.",
    "Hungarian": "Az adatbiztonságért felel, és csökkenteni szeretné a csapatok által használt eszközök számát.",
    "Turkish": "Satış ekibinin hedeflerini belirler ve sözleşme onay sürecini kısaltmak için bütçe arar.",
    "Vietnamese": "Phụ trách vận hành doanh thu và cần dự báo đáng tin cậy trước khi kết thúc mỗi quý.",
    "Indonesian": "Bertanggung jawab atas keamanan data dan ingin mengurangi jumlah alat yang dipakai setiap tim.",
    "Swahili": "Anawajibika kwa usalama wa data na anataka kupunguza idadi ya zana zinazotumiwa na kila timu.",
    "Tagalog": "Responsable sa seguridad ng datos at nais bawasan ang bilang ng mga kasangkapan ng bawat pangkat.",
    "Russian": "Отвечает за безопасность данных и хочет сократить число инструментов в разных командах.",
    "Ukrainian": "Відповідає за безпеку даних і хоче зменшити кількість інструментів у різних командах.",
    "Greek": "Είναι υπεύθυνη για την ασφάλεια των δεδομένων και θέλει λιγότερα εργαλεία σε κάθε ομάδα.",
    "Armenian": "Պատասխանատու է տվյալների անվտանգության համար և ցանկանում է կրճատել գործիքների թիվը։",
    "Georgian": "პასუხისმგებელია მონაცემთა უსაფრთხოებაზე და სურს შეამციროს ინსტრუმენტების რაოდენობა.",
    "Arabic": "مسؤول عن أمن البيانات ويريد تقليل عدد الأدوات التي تستخدمها الفرق المختلفة.",
    "Persian": "مسئول امنیت داده‌ها است و می‌خواهد تعداد ابزارهای هر تیم را کاهش دهد.",
    "Urdu": "ڈیٹا کی حفاظت کے ذمہ دار ہیں اور مختلف ٹیموں کے اوزاروں کی تعداد کم کرنا چاہتے ہیں۔",
    "Hebrew": "אחראי על אבטחת המידע ורוצה לצמצם את מספר הכלים שבהם משתמשים הצוותים.",
    "Hindi": "डेटा सुरक्षा के लिए ज़िम्मेदार हैं और अलग-अलग टीमों के उपकरणों की संख्या कम करना चाहते हैं।",
    "Bengali": "তথ্য নিরাপত্তার দায়িত্বে আছেন এবং বিভিন্ন দলের সরঞ্জামের সংখ্যা কমাতে চান।",
    "Punjabi": "ਡਾਟਾ ਸੁਰੱਖਿਆ ਲਈ ਜ਼ਿੰਮੇਵਾਰ ਹਨ ਅਤੇ ਹਰ ਟੀਮ ਦੇ ਸਾਧਨਾਂ ਦੀ ਗਿਣਤੀ ਘਟਾਉਣਾ ਚਾਹੁੰਦੇ ਹਨ।",
    "Tamil": "தரவு பாதுகாப்புக்குப் பொறுப்பானவர், குழுக்கள் பயன்படுத்தும் கருவிகளைக் குறைக்க விரும்புகிறார்.",
    "Telugu": "డేటా భద్రతకు బాధ్యత వహిస్తారు మరియు ప్రతి బృందం ఉపయోగించే సాధనాల సంఖ్యను తగ్గించాలనుకుంటున్నారు.",
    "Sinhala": "දත්ත ආරක්ෂාව සඳහා වගකිව යුතු අතර මෙවලම් ගණන අඩු කිරීමට අවශ්‍යයි.",
    "Thai": "รับผิดชอบความปลอดภัยของข้อมูลและต้องการลดจำนวนเครื่องมือที่แต่ละทีมใช้",
    "Lao": "ຮັບຜິດຊອບຄວາມປອດໄພຂອງຂໍ້ມູນແລະຕ້ອງການຫຼຸດຈໍານວນເຄື່ອງມື",
    "Burmese": "ဒေတာလုံခြုံရေးအတွက် တာဝန်ရှိပြီး ကိရိယာအရေအတွက်ကို လျှော့ချလိုသည်။",
    "Amharic": "የውሂብ ደህንነት ኃላፊ ሲሆን የመሳሪያዎችን ብዛት መቀነስ ይፈልጋል።",
    "Japanese": "データのセキュリティを担当し、各チームが使うツールの数を減らしたいと考えています。",
    "Chinese": "负责数据安全，希望减少各团队使用的工具数量，并缩短合同审批流程。",
    "Chinese, traditional": "負責資料安全，希望減少各團隊使用的工具數量，並縮短合約審批流程。",
    "Korean": "데이터 보안을 책임지며 각 팀이 사용하는 도구의 수를 줄이고 싶어 합니다.",
    "Emoji": "🚀 Growth lead 💼📈 loves dashboards 📊, hates spreadsheets 😤🙅 and wins deals 🏆🎉",
    "Typography": "“Who’s on the team?” — asks the team’s lead… it’s – as ever – ‘complicated’.",
}  # fmt: skip


@pytest.mark.parametrize("language", PROSE)
def test_prose_is_never_underestimated_nor_far_overestimated(language: str) -> None:
    """The real tokenizer finds fewer tokens than estimated, but at least a third of them."""
    text = PROSE[language] * 3
    assert o200k(text) <= estimate(text) <= 3 * o200k(text)


def test_english_is_overestimated_by_at_most_two_fifths() -> None:
    """Room that is set aside for nothing would be missed in the summaries."""
    records = json.dumps([record(number) for number in range(5)], separators=(",", ":"))
    for text in (PROSE["English"] * 3, records):
        assert o200k(text) <= estimate(text) <= 1.4 * o200k(text)


@pytest.mark.parametrize("language", PROSE)
def test_escaped_json_is_never_underestimated(language: str) -> None:
    """Some hosts show JSON as Python's own `json.dumps` writes it."""
    text = json.dumps({"painPoints": [PROSE[language]] * 3})
    assert o200k(text) <= estimate(text)


def _many(piece: Callable[[random.Random], str]) -> str:
    draw = random.Random(5)
    return " ".join(piece(draw) for _ in range(300))


def _letters(alphabet: str) -> Callable[[random.Random], str]:
    return lambda draw: "".join(draw.choices(alphabet, k=draw.randint(1, 12)))


_SAFE = {
    "lower case": _many(_letters(string.ascii_lowercase)),
    "letters": _many(_letters(string.ascii_letters)),
    "upper case": _many(_letters(string.ascii_uppercase)),
    "letters and digits": _many(_letters(string.ascii_letters + string.digits)),
    "hexadecimal": _many(_letters("0123456789abcdef")),
    "digits": _many(_letters(string.digits)),
    "punctuation": _many(_letters(string.punctuation)),
    "printable": _many(_letters(string.printable)),
    "cuneiform": _many(_letters("".join(map(chr, range(0x12000, 0x12300))))),
    "rare Chinese": _many(_letters("".join(map(chr, range(0x20000, 0x20100))))),
    "symbols": _many(_letters("".join(map(chr, range(0x2200, 0x2600))))),
    "emoji": _many(_letters("".join(map(chr, range(0x1F300, 0x1F650))))),
    "any character": "".join(
        random.Random(5).choices([*map(chr, range(0x20, 0xD800)), *map(chr, range(0xE000, 0x30000))], k=3000)
    ),
    "UUIDs": _many(lambda draw: str(uuid.UUID(int=draw.getrandbits(128)))),
    "oIds": _many(lambda draw: "pe_" + "".join(draw.choices(string.ascii_letters + string.digits, k=17))),
    "base64": base64.b64encode(random.Random(5).randbytes(900)).decode(),
    "addresses": _many(lambda draw: f"https://shop{draw.randint(1, 99)}.example.com/a?x={draw.randint(1, 10**6)}&y=Q1"),
    "names in code": "parseHTTPResponse getUserById XMLParserFactory snake_case_name kebab-case-name " * 20,
    "acronyms": "CISO VP SOC2 ISO27001 KPI ROI GDPR HIPAA SaaS B2B CRM ERP " * 20,
    "capitals": "THE HEAD OF PROCUREMENT SIGNS CONTRACTS AND NEGOTIATES PRICES EVERY QUARTER " * 5,
    "surnames": "Nguyen Okonkwo Takahashi Papadopoulos Szczepanski Oyelaran Chukwuemeka Venkataraman Müller " * 20,
    "one letter": "x" * 5000,
    "quotes and brackets": '"]}' * 500,
    "backslashes": '\\"' * 500,
    "marks": "z" + "\u0301\u0316\u0334\u0351" * 200,
    "line breaks": "\n \t" * 300,
}


@pytest.mark.parametrize("kind", _SAFE)
def test_what_programs_and_attackers_write_is_not_underestimated(kind: str) -> None:
    """Ids, hashes, encoded data, piles of marks and rare characters take at most 1.01 of their estimate."""
    assert o200k(_SAFE[kind]) <= 1.01 * estimate(_SAFE[kind])


def _syllables(draw: random.Random) -> str:
    return "".join(draw.choice("bcdfghjklmnprstvwz") + draw.choice("aeiou") for _ in range(draw.randint(2, 5)))


_UNLIKELY = {
    "invented words": _many(_syllables),
    "invented names": _many(lambda draw: _syllables(draw).capitalize() + _syllables(draw).capitalize()),
    **{
        f"random letters of {name}": _many(_letters("".join(map(chr, block))))
        for name, block in (
            ("Latin with marks", range(0xC0, 0x250)),
            ("Greek", range(0x391, 0x3CF)),
            ("Cyrillic", range(0x410, 0x450)),
            ("Arabic", range(0x620, 0x64B)),
            ("Devanagari", range(0x905, 0x93A)),
            ("Kana", range(0x3041, 0x30F4)),
            ("Chinese", range(0x4E00, 0x9FFF)),
            ("Hangul", range(0xAC00, 0xD7A3)),
        )
    },
}


@pytest.mark.parametrize("kind", _UNLIKELY)
def test_letters_at_random_take_at_most_twice_their_estimate(kind: str) -> None:
    """The estimate is made for prose, and its module says how far text that nobody writes goes beyond it."""
    assert o200k(_UNLIKELY[kind]) <= 2 * estimate(_UNLIKELY[kind])


def test_the_cost_of_a_result_is_that_of_both_channels() -> None:
    """Structured content counts as most hosts show it: compact, and not escaped."""
    structured = {"painPoints": ["データ"]}
    assert cost(structured, "データ") == estimate('{"painPoints":["データ"]}') + estimate("データ")
