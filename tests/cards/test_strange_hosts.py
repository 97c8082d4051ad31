"""The cards in a host of the tests' own, which speaks as no good host does: late, twice, out of order, or nonsense."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.browser import Browser, Page
from support.card_results import CFO, CISO, condensed, generation
from support.cards_host import call_result

from octave_mcp.cards.mcp_app import PAGE

HOST = """<!doctype html><html lang="en"><head><title>A strange host</title>
<style>body { margin: 0 } iframe { border: 0; width: 100%; height: 900px }</style></head><body></body></html>"""

SHOW = """(html) => {
  window.heard = [];
  window.answers = {};
  window.frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  frame.srcdoc = html;
  window.send = (message) => frame.contentWindow.postMessage(message, "*");
  addEventListener("message", ({ data }) => {
    heard.push(data);
    if (data.method in answers) send({ jsonrpc: "2.0", id: data.id, result: answers[data.method] });
  });
  document.body.append(frame);
}"""

HURRIED = "<script>{ const later = setTimeout; setTimeout = (call, wait) => later(call, Math.min(wait, 20)); }</script>"
"""Has each of the page's times pass at once."""

ALL: dict[str, Any] = {name: {} for name in ("serverTools", "message", "downloadFile")}


class Strange:
    """A page around the cards that sends what a test says, and answers only what it is told to."""

    def __init__(self, page: Page, *, head: str = "", width: int = 800) -> None:
        """Show the cards."""
        self.page = page
        page.open(HOST, width=width)
        page.run(f"({SHOW})({json.dumps(PAGE.read_text(encoding='utf-8').replace('<head>', '<head>' + head))})")
        self.initialize = self.heard("ui/initialize")

    def heard(self, method: str) -> dict[str, Any]:
        """Return the first message of this method, once it has come."""
        found = f"heard.find((one) => one.method === {method!r})"
        message: dict[str, Any] = self.page.wait(found, in_frame=False)
        return message

    def count(self, method: str) -> int:
        """Return how many messages of this method came."""
        return int(self.page.run(f"heard.filter((one) => one.method === {method!r}).length"))

    def send(self, message: Any) -> None:
        """Send anything at all."""
        self.page.run(f"send({json.dumps(message)})")

    def tell(self, method: str, params: Any) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": f"ui/notifications/{method}", "params": params})

    def greet(self, capabilities: Any) -> None:
        """Answer the handshake."""
        self.send({"jsonrpc": "2.0", "id": self.initialize["id"], "result": {"hostCapabilities": capabilities}})
        self.heard("ui/notifications/initialized")

    def result(self, structured: Any) -> None:
        """Send a result."""
        self.tell("tool-result", call_result(structured))

    def sees(self, text: str) -> bool:
        """Wait until the cards show a text."""
        return bool(self.page.wait(f"document.body.innerText.includes({json.dumps(text)})"))

    def text(self) -> str:
        """Return what the cards show."""
        return str(self.page.run("document.body.innerText", in_frame=True))

    def press(self, key: str) -> None:
        """Press the element of this key as the keyboard does: it has the focus, then Enter."""
        self.page.run("frame.focus()")
        self.page.run(f"document.querySelector('[data-key=\"{key}\"]').focus()", in_frame=True)
        self.page.press("Enter")

    def focused(self) -> str:
        """Return the key of the element that has the focus."""
        return str(self.page.run("document.activeElement.dataset.key", in_frame=True))


Opener = Callable[..., Strange]


@pytest.fixture
def strange(chromium: Browser) -> Iterator[Opener]:
    """Open a strange host. At the end nothing may have been thrown or blocked in it."""
    opened: list[Strange] = []

    def open_one(**options: Any) -> Strange:
        opened.append(Strange(chromium.page(), **options))
        return opened[-1]

    yield open_one
    problems = [problem for one in opened for problem in one.page.problems]
    for one in opened:
        one.page.close()
    assert problems == []


def test_a_handshake_may_take_as_long_as_it_likes(strange: Opener) -> None:
    """Some hosts mount a frame and answer it when it is scrolled to. Results that come before are shown."""
    host = strange(head=HURRIED)
    host.result(generation(CISO))
    assert host.sees("1 persona")
    host.page.run("new Promise((done) => setTimeout(done, 100))", in_frame=True)
    assert "Tell the assistant" not in host.text()
    host.greet(ALL)
    assert host.sees("Tell the assistant")


@pytest.mark.parametrize("capability", [None, False, 0])
def test_a_capability_without_a_value_is_none(strange: Opener, capability: Any) -> None:
    """Null is an object in JavaScript, and no permission."""
    host = strange()
    host.greet({"message": capability})
    host.result(generation(CISO))
    assert host.sees("1 persona")
    assert "Tell the assistant" not in host.text()


ODD_IDS: list[Any] = ["99", None, 1, {}]
NONSENSE: list[Any] = [
    *(None, 5, "x", [], {"jsonrpc": "2.0"}, {"jsonrpc": "2.0", "method": 5}, {"jsonrpc": "1.0", "method": "ping"}),
    *(
        {"jsonrpc": "2.0", "method": f"ui/notifications/{name}", "params": params}
        for name in ("__proto__", "constructor", "toString", "tool-result", "host-context-changed", "unheard-of")
        for params in (None, {}, {"styles": {"variables": [1]}, "theme": 7})
    ),
    *({"jsonrpc": "2.0", "id": number, "result": {}, "error": None} for number in ODD_IDS),
]


def test_nonsense_changes_nothing_that_is_shown(strange: Opener) -> None:
    """Nor does it throw: an empty result does not take the place of one that has something."""
    host = strange()
    host.greet(ALL)
    host.result(generation(CISO, CFO))
    assert host.sees("2 personas")
    shown = host.text()
    for message in NONSENSE:
        host.send(message)
    host.send({"jsonrpc": "2.0", "id": "last", "method": "ping"})
    assert host.page.wait("heard.some((one) => one.id === 'last')", in_frame=False)
    assert host.text() == shown


def test_an_old_result_does_not_come_back(strange: Opener) -> None:
    """A host that shows the page anew sends the call's result again, after the page has collected what was missing."""
    pending = generation(status="pending", pending=['Being written: personas[0] "CISO".'])
    host = strange()
    host.page.run(f"answers['tools/call'] = {json.dumps(call_result(generation(CISO)))}")
    host.greet(ALL)
    host.result(pending)
    assert host.sees("1 persona")
    host.result(pending)
    host.send({"jsonrpc": "2.0", "id": "last", "method": "ping"})
    assert host.page.wait("heard.some((one) => one.id === 'last')", in_frame=False)
    assert "of 1 ready" not in host.text()
    assert host.count("tools/call") == 1


def test_failures_name_personas_and_not_places_of_the_call(strange: Opener) -> None:
    """Names that the call gave are known; a code is a code, also if it is named like a part of JavaScript."""
    failed = [
        {"personas": 'personas[0] "A", personas[1] and 3 more', "problem": "One.", "code": "constructor"},
        {"personas": "personas[2]", "problem": "Two.", "code": "__proto__", "mayExist": True},
        {"personas": "all", "problem": "Three.", "code": "busy"},
        {"personas": "all", "problem": "This client cannot ask.", "code": "declined"},
    ]
    host = strange()
    host.tell("tool-input", {"arguments": {"personas": [{"name": "A"}, {"name": "B"}, {}]}})
    host.result(generation(status="failed", failed=failed))
    assert host.sees("Three.")
    parts = "[...document.querySelectorAll('.failure')].map((one) => one.innerText.split(/\\n+/))"
    assert host.page.run(parts, in_frame=True) == [
        ["Not created", "A, B and 3 more", "One."],
        ["It may exist", "Persona 3", "Two."],
        ["Octave is busy", "Three."],
        ["No consent, not sent", "This client cannot ask."],
    ]


def test_the_progress_counts_what_failed_as_asked_for(strange: Opener) -> None:
    """As the server's own words do: one of four is ready, not one of two."""
    host = strange()
    failed = [{"personas": 'personas[2] "CTO", personas[3]', "problem": "No.", "code": "not_created"}]
    host.result(generation(CISO, status="pending", pending=['Being written: personas[1] "CFO".'], failed=failed))
    assert host.sees("1 of 4 ready.")
    assert host.page.run("document.querySelector('progress').max", in_frame=True) == 4


def test_the_latest_generations_count_what_is_not_named(strange: Opener) -> None:
    """A long list ends with how many more there are."""
    created = [*(f"Persona {number} (pe_{number})" for number in range(8)), "and 92 more"]
    host = strange()
    host.result({"generations": [{"generationId": "gen_1", "at": "today", "created": created}], "notes": []})
    assert host.sees("100 created")


def test_the_assistant_is_told_only_of_what_it_can_read(strange: Opener) -> None:
    """A persona without an oId, or with something else in its place, cannot be named to it."""
    host = strange()
    host.page.run("answers['ui/message'] = {}")
    host.greet(ALL)
    host.result(generation(condensed("", "A"), condensed("<b>", "B"), CISO))
    assert host.sees("3 personas")
    assert host.text().count("Tell the assistant") == 1
    host.press("card pe_1 tell")
    assert '"CISO" (pe_1)' in host.heard("ui/message")["params"]["content"][0]["text"]


def test_the_focus_is_never_lost(strange: Opener) -> None:
    """After the button that shows all cards is gone, and after a copy that selects the text first."""
    host = strange()
    host.greet(ALL)
    host.result(generation(*(condensed(f"pe_{number}", f"Persona {number}") for number in range(20))))
    assert host.sees("Show 8 more")
    host.press("more cards")
    assert host.focused() == "card pe_12 choose"
    host.press("export")
    assert host.sees("Export of 20 personas")
    host.press("copy")
    assert host.sees("Copied.")
    assert host.focused() == "copy"


def test_notes_stay_open_and_are_so_where_a_search_found_nothing(strange: Opener) -> None:
    """Then all personas are listed, which only a note says."""
    host = strange()
    host.tell("tool-input", {"arguments": {"text": "zebra"}})
    host.result({"personas": [CISO, CFO], "offset": 0, "total": 2, "notes": ["Nothing matches, so all are listed."]})
    assert host.sees("2 of 2 personas")
    assert "Nothing matches" in host.text()
    host.press("notes")
    assert "Nothing matches" not in host.text()
    choose = "document.querySelector('input[type=checkbox]').click()"
    host.page.run(choose, in_frame=True)
    assert host.sees("1 chosen")
    assert "Nothing matches" not in host.text()
    host.press("notes")
    host.page.run(choose, in_frame=True)
    assert host.sees("0 chosen")
    assert "Nothing matches" in host.text()


def test_a_comparison_in_a_narrow_frame_keeps_its_words_whole(strange: Opener) -> None:
    """Its columns stay readable, and it scrolls by itself; the page does not."""
    host = strange(width=280)
    host.greet({})
    host.result(generation(CISO, CFO, condensed("pe_3", "Chief Information Officer", keyObjectives=["Leadership"])))
    assert host.sees("3 personas")
    for box in range(3):
        host.page.run(f"document.querySelectorAll('input[type=checkbox]')[{box}].click()", in_frame=True)
    host.press("compare")
    assert host.sees("Comparison of 3 personas")
    assert host.page.run("document.documentElement.scrollWidth <= innerWidth", in_frame=True)
    assert host.page.run("document.querySelector('th').offsetWidth >= 150", in_frame=True)
