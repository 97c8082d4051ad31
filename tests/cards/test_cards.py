"""The persona cards in a real browser, in a host made of `@modelcontextprotocol/ext-apps`."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.browser import Browser
from support.card_results import CFO, CISO, CTO, condensed, generation, record
from support.cards_host import EVERYTHING, Host, Tool, call_result

from octave_mcp.cards.mcp_app import PAGE

Opener = Callable[..., Host]

NOTHING: dict[str, Any] = {}
"""The capabilities of a host that lets the page do nothing."""


def records(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Answer `get_persona`, and nothing else."""
    assert name == "get_persona"
    return call_result(record(arguments["oId"], f"Record {arguments['oId']}"))


def test_what_the_sandbox_creates_is_shown_and_opens_in_full(open_cards: Opener, sandbox: Tool) -> None:
    """Through a real server: the cards of a result, and the record that a card asks for."""
    wanted = {"personas": [{"name": "Head of Audit", "sources": [{"type": "TEXT", "value": "reviews take weeks"}]}]}
    made = sandbox("generate_personas", wanted)
    host = open_cards(sandbox)
    host.input(**wanted)
    host.page.run(f"host.sendToolResult({json.dumps(made)})")
    assert host.sees("1 persona")
    for section in ("Objectives", "Pain points", "Concerns", "Qualifying questions", "Disqualifying questions"):
        assert host.sees(section)
    host.click("Full record")
    assert host.sees("Responsibilities")
    assert host.sees("High")
    assert host.sees("Medium")
    (call,) = host.methods("tools/call")
    oid = made["structuredContent"]["personas"][0]["oId"]
    assert call["name"] == "get_persona"
    assert call["arguments"] == {"oId": oid}
    assert oid in host.text()


def test_a_record_shows_questions_by_fit_and_strength(open_cards: Opener) -> None:
    """The strongest first, those that are archived apart, and everything else that a record has."""
    host = open_cards()
    host.result(record("pe_1", "CISO"))
    host.sees("Who pays?")
    text = host.text()
    assert text.index("HIGH" if "HIGH" in text else "High") < text.index("Who pays?") < text.index("Late?")
    assert text.index("Disqualifying questions") < text.index("Instant disqualifier") < text.index("Outsourced?")
    assert text.index("Other and archived questions") < text.index("Old?")
    assert "Region: EMEA, APAC" in text
    assert "Back" not in text


def test_what_did_not_fit_into_a_record_is_asked_for_by_section(open_cards: Opener) -> None:
    """So that a card shows all of a persona, however little room a result has."""

    def tool(_: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments.get("sections") == ["painPoints"]:
            return call_result({"oId": "pe_1", "name": "CISO", "painPoints": ["First", "Second"], "notes": []})
        short = {"oId": "pe_1", "name": "CISO", "painPoints": ["First"], "leftOut": {"painPoints": 1}, "notes": []}
        return call_result(short)

    host = open_cards(tool)
    host.result(generation(CISO))
    host.click("Full record")
    assert host.sees("Second")


def test_the_cards_collect_what_is_still_being_written(open_cards: Opener) -> None:
    """Without a turn of the model, which learns at its next one what has been collected."""
    answers = [
        generation(CISO, status="pending", pending=['Being written: personas[1] "CFO".']),
        generation(CISO, CFO, usage=4),
    ]
    host = open_cards(lambda *_: call_result(answers.pop(0)))
    host.input(personas=[{"name": "CISO"}, {"name": "CFO"}])
    assert host.sees("Waiting for the personas")
    assert host.sees("CFO")
    host.result(generation(status="pending", pending=['Being written: personas[0] "CISO", personas[1] "CFO".']))
    assert host.sees("4 credits")
    assert host.sees("CFO decides.")
    assert [call["arguments"] for call in host.methods("tools/call")] == [{"generationId": "gen_1"}] * 2
    host.page.wait("true")
    (context,) = host.methods("ui/update-model-context")
    assert '"CISO" (pe_1), "CFO" (pe_2)' in context["content"][0]["text"]
    assert "decides" not in json.dumps(context)
    assert host.methods("ui/message") == []


UNKNOWN = {"personas": 'personas[0] "CISO"', "problem": "The answer was lost.", "mayExist": True}


def test_the_cards_wait_until_an_unknown_outcome_is_settled(open_cards: Opener) -> None:
    """For as long as asking again can settle it, and no longer."""
    host = open_cards(lambda *_: call_result(generation(CISO)))
    host.result(generation(status="failed", failed=[{**UNKNOWN, "retry": "after_change"}], generationId="gen_0"))
    host.sees("The answer was lost.")
    assert host.asked == []
    host.result(generation(status="failed", failed=[{**UNKNOWN, "retry": "after_seconds"}]))
    assert host.sees("CISO decides.")


def test_progress_counts_what_is_named_and_what_is_only_counted(open_cards: Opener) -> None:
    """A host that lets the cards do nothing shows how far it is, and who can go on."""
    host = open_cards(capabilities=NOTHING)
    pending = [
        'Being written: personas[1] "A and 9 more".',
        "Waiting for their turn: personas[2] to personas[4] and 2 more.",
    ]
    host.result(generation(CISO, status="pending", pending=pending))
    assert host.sees("1 of 7 ready.")
    assert host.sees("A and 9 more")
    assert host.sees("Ask the assistant to collect what is missing.")
    assert host.page.run("document.querySelector('progress').max", in_frame=True) == 7


def test_failures_say_what_happened_and_whether_a_persona_may_exist(open_cards: Opener) -> None:
    """With the fields of today, and without them."""
    host = open_cards(capabilities=NOTHING)
    failed = [
        {"personas": 'personas[0] "A"', "problem": "No credits.", "code": "no_credits", "mayExist": False},
        {"personas": 'personas[1] "B"', "problem": "The answer was lost.", "code": "outcome_unknown", "mayExist": True},
        {"personas": 'personas[2] "C"', "problem": "Octave said no."},
    ]
    host.result(generation(status="failed", failed=failed))
    host.sees("Octave said no.")
    headings = "[...document.querySelectorAll('h2')].map((one) => one.innerText)"
    assert host.page.run(headings, in_frame=True) == ["No credits left", "It may exist", "Not created"]
    assert host.page.run("document.querySelectorAll('.doubtful').length", in_frame=True) == 1


def test_a_generation_of_which_all_failed_is_shown_as_one(open_cards: Opener, sandbox: Tool) -> None:
    """Its result is an error for the model; a person sees what failed and why, and no words that are for a model."""
    wanted = {"personas": [{"name": "VP of Sales", "sources": [{"type": "TEXT", "value": "notes"}]}]}
    failed = sandbox("generate_personas", wanted)
    assert failed["isError"]
    host = open_cards(sandbox)
    host.input(**wanted)
    host.page.run(f"host.sendToolResult({json.dumps(failed)})")
    assert host.sees("Nothing was created")
    assert host.sees("A persona of this name exists")
    assert "generationId" not in host.text()
    host.page.run(f"host.sendToolResult({json.dumps(sandbox('generate_personas', {'personas': []}))})")
    assert host.sees("That did not work")
    assert host.sees("The call was not right")


def test_what_is_collected_may_be_a_failure(open_cards: Opener) -> None:
    """All of it, which is an error's result: then nothing is being written any more."""
    refused = {"personas": 'personas[0] "CISO"', "problem": "Octave said no.", "code": "input_rejected"}
    settled = generation(status="failed", failed=[refused])
    host = open_cards(lambda *_: call_result(settled, is_error=True))
    host.result(generation(status="pending", pending=['Being written: personas[0] "CISO".']))
    assert host.sees("Octave rejected it")
    assert "Being written" not in host.text()
    assert len(host.methods("tools/call")) == 1


def test_without_any_capability_what_came_is_shown(open_cards: Opener) -> None:
    """Nothing is offered that the host would not do."""
    host = open_cards(capabilities=NOTHING)
    host.result(generation(CISO))
    host.click("Full record")
    assert host.sees("Ask the assistant for the full record.")
    assert "Tell the assistant" not in host.text()
    host.click("Export")
    assert host.sees("Shortened, as in the result: 1.")
    assert "Download" not in host.text()
    assert host.asked == []


def test_results_of_other_kinds_are_shown_too(open_cards: Opener) -> None:
    """A text without structure, an error, a cancelled call, and the latest generations."""
    host = open_cards(lambda *_: call_result(generation(CISO)))
    host.page.run("host.sendToolCancelled({reason: 'the person stopped it'})")
    assert host.sees("The call was cancelled")
    host.result(None, "Only a text.")
    assert host.sees("Only a text.")
    host.result(None, "The key is wrong.", is_error=True)
    assert host.sees("That did not work")
    listed = {"generationId": "gen_1", "at": "2026-11-25 20:28:51 UTC", "created": ["CISO (pe_1)"], "unknown": ["B"]}
    host.result({"generations": [listed], "notes": []})
    assert host.sees("1 created, 1 may exist")
    host.click("Open")
    assert host.sees("CISO decides.")


def test_a_list_goes_on_where_it_ended(open_cards: Opener) -> None:
    """With the arguments of the call that it came from."""
    more = {"personas": [condensed("pe_9", "Late one")], "offset": 2, "total": 3, "notes": []}
    host = open_cards(lambda *_: call_result(more))
    host.input(text="security")
    host.result({"personas": [CISO, CFO], "offset": 0, "total": 3, "more": "list_personas with …", "notes": []})
    assert host.sees("2 of 3 personas")
    host.click("Load more")
    assert host.sees("Late one")
    assert host.sees("3 of 3 personas")
    assert host.methods("tools/call")[0]["arguments"] == {"text": "security", "offset": 2}


def test_two_or_three_are_compared_with_what_they_share(open_cards: Opener) -> None:
    """Items that say the same in nearly the same words are marked, and listed above."""
    host = open_cards(capabilities=NOTHING)
    host.result(generation(CISO, CFO, CTO, condensed("pe_4", "COO")))
    for place in range(3):
        host.click("Choose", place=place)
    assert host.page.run("document.querySelectorAll('input:disabled').length", in_frame=True) == 1
    host.click("Compare")
    assert host.sees("Comparison of 3 personas")
    assert host.sees("They share 2 items: Objectives (1), Pain points (1).")
    assert host.page.run("document.querySelectorAll('td .shared').length", in_frame=True) == 4
    host.click("Back to the cards")
    assert host.page.run("document.activeElement.innerText", in_frame=True) == "Compare"


def test_personas_are_exported_as_text_that_no_program_takes_for_more(open_cards: Opener) -> None:
    """Markdown without markup of theirs, CSV without formulas; copied, or downloaded by the host."""
    host = open_cards()
    odd = condensed("", "=HYPERLINK(1)", keyObjectives=['Say "no"', "<b>*bold*</b> [x](y)"])
    host.result(generation(odd))
    host.click("Export all")
    contents = "document.querySelector('textarea').value"
    markdown = host.page.wait(contents)
    assert "## =HYPERLINK(1)" in markdown
    assert "- \\<b\\>\\*bold\\*\\</b\\> \\[x\\](y)" in markdown
    host.click("CSV")
    table = host.page.wait(f"{contents}.startsWith('oId,name') && {contents}")
    assert ",'=HYPERLINK(1)," in table
    assert '"Say ""no""\n<b>*bold*</b> [x](y)"' in table
    host.click("Copy")
    host.sees("Copied.")
    host.click("Download")
    host.sees("Downloaded.")
    (download,) = host.methods("ui/download-file")
    (file,) = download["contents"]
    text = file["resource"].pop("text")
    assert file["resource"] == {"uri": "file:///personas.csv", "mimeType": "text/csv"}
    assert text.count("\r\n") == 2
    assert text.replace("\r\n", "\n") == table


def test_exported_records_are_full_where_the_host_allows_it(open_cards: Opener) -> None:
    """A person who exports wants all of it."""
    host = open_cards(records)
    host.result(generation(CISO, CFO))
    host.click("Export all")
    assert host.sees("Full records.")
    assert "Record pe" in host.page.run("document.querySelector('textarea').value", in_frame=True).replace("\\", "")


@pytest.mark.parametrize("ways", [("message", "updateModelContext"), ("updateModelContext",)])
def test_a_chosen_persona_is_put_into_the_conversation(open_cards: Opener, ways: tuple[str, ...]) -> None:
    """By its name and oId: a message is in the name of the person, and what a persona says was written by others."""
    host = open_cards(capabilities={way: EVERYTHING[way] for way in ways})
    host.result(generation(CISO))
    host.click("Tell the assistant")
    host.sees("The assistant has it now.")
    ((method, params),) = host.asked
    assert method == {"message": "ui/message", "updateModelContext": "ui/update-model-context"}[ways[0]]
    said = 'Use this persona for what follows: "CISO" (pe_1). Read it with get_persona.'
    assert params["content"] == [{"type": "text", "text": said}]


HOSTILE = (
    "<script>parent.broken = 1</script>",
    "<img src=x onerror='document.title=1'>",
    "</style></script><h1>",
    "javascript:alert(1)",
    "{{constructor}}",
    "__proto__",
    "\u202eevil",
    "a" * 20_000,
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_a_persona_says_is_text_and_never_markup(open_cards: Opener, text: str) -> None:
    """In every field, in every view."""
    lists = {key: [text] for key in ("commonJobTitles", "keyObjectives", "buyingRole", "customFields", "__proto__")}
    raw = {"oId": text, "name": text, "description": text, **lists, "qualifyingQuestions": [{"question": text}]}
    host = open_cards(width=400)
    host.result(
        generation(raw, {**raw, "oId": ""}, failed=[{"personas": text, "problem": text, "code": text}], pending=[text])
    )
    for label in ("Full record", "Back to the cards", "Choose", "Export chosen"):
        host.click(label)
    assert host.page.wait("document.querySelector('textarea').value.length > 5")
    found = "document.querySelectorAll('main script, main img, main style, main a, main [onerror]').length"
    assert host.page.run(found, in_frame=True) == 0
    assert host.page.run("[document.title, typeof parent.broken].join()", in_frame=False) == "A host,undefined"
    assert host.page.run("document.title", in_frame=True) == "Octave personas"
    assert host.page.run("document.documentElement.scrollWidth <= innerWidth", in_frame=True)


ODD: list[Any] = [
    None,
    [],
    {},
    {"personas": None},
    {"personas": [None, 3, "x", {}], "status": 4},
    {"generations": [None, {"created": 3}]},
    {"oId": 3, "qualifyingQuestions": "no", "customFields": [{"title": None, "value": None}], "leftOut": []},
    {"personas": [], "status": "pending", "failed": [None, "x"], "pending": [None, 4], "notes": "x", "usage": "much"},
]


@pytest.mark.parametrize("structured", ODD, ids=range(len(ODD)))
def test_a_result_of_an_odd_shape_breaks_nothing(open_cards: Opener, structured: Any) -> None:
    """The next result is shown as ever."""
    host = open_cards()
    host.page.run(f"host.sendToolResult({json.dumps({'content': [], 'structuredContent': structured})}).catch(() => 0)")
    host.result(generation(CISO))
    assert host.sees("CISO")


def test_a_hundred_personas_are_shown_at_once_and_filtered(open_cards: Opener) -> None:
    """The first dozen at first; the time is that of the page's own work."""
    host = open_cards()
    many = [
        condensed(f"pe_{n}", f"Persona {n}", **{k: v for k, v in CISO.items() if isinstance(v, list)})
        for n in range(100)
    ]
    before = time.monotonic()
    host.result(generation(*many))
    host.sees("100 personas")
    assert time.monotonic() - before < 5
    visible = "[...document.querySelectorAll('.card')].filter((one) => one.offsetParent).length"
    assert host.page.run(visible, in_frame=True) == 12
    draw = (
        "(() => { const before = performance.now(); document.querySelector('input[type=checkbox]').click();"
        " return performance.now() - before; })()"
    )
    assert host.page.run(draw, in_frame=True) < 1000
    typed = (
        "(() => { const box = document.querySelector('input[type=search]'); box.value = 'persona 77';"
        " box.dispatchEvent(new Event('input')); })()"
    )
    host.page.run(typed, in_frame=True)
    assert host.page.run(visible, in_frame=True) == 1
    host.page.run(typed.replace("persona 77", ""), in_frame=True)
    host.click("Show 88 more")
    assert host.page.run(visible, in_frame=True) == 100


def test_everything_is_reached_by_keyboard(open_cards: Opener) -> None:
    """The focus follows: into a view, to its heading; back, to where it was."""
    host = open_cards(records)
    host.result(generation(CISO, CFO))
    host.sees("CFO")
    host.page.run("frames[0].focus()")
    focused = "document.activeElement.innerText || document.activeElement.type || ''"
    seen = []
    for _ in range(9):
        host.page.press("Tab")
        seen.append(host.page.run(focused, in_frame=True))
        if seen[-1] == "Full record":
            break
    assert seen == ["1 note", "Export all", "checkbox", "Full record"]
    host.page.press("Enter")
    assert host.sees("Record pe_1")
    assert host.page.run("document.activeElement.tagName", in_frame=True) == "H1"
    while host.page.run(focused, in_frame=True) != "Back to the cards":
        host.page.press("Tab")
    host.page.press("Enter")
    host.sees("CFO")
    assert host.page.run("document.activeElement.dataset.key", in_frame=True) == "card pe_1 open"
    host.page.press("Tab", shift=True)
    host.page.press("Space")
    assert host.page.wait("document.activeElement.checked")


def test_what_the_host_refuses_is_said(open_cards: Opener) -> None:
    """A record that cannot be loaded, in the words of the tool or of the host; what came is shown all the same."""
    answers = [{"refused": "Tools are off."}, call_result(None, "Octave has no such persona.", is_error=True)]
    host = open_cards(lambda *_: answers.pop(0))
    host.result(generation(CISO, CFO))
    host.click("Full record")
    assert host.sees("Tools are off.")
    assert host.sees("Pass every audit")
    host.click("Back to the cards")
    host.click("Full record", place=1)
    assert host.sees("Octave has no such persona.")


def test_collecting_goes_on_after_a_failed_call(open_cards: Opener) -> None:
    """A host may be busy, or ask its person first."""
    answers = [{"refused": "Busy."}, call_result(generation(CISO))]
    host = open_cards(lambda *_: answers.pop(0))
    host.result(generation(status="pending", pending=["Being written: personas[0]."]))
    assert host.sees("What is missing appears here by itself.")
    assert host.sees("CISO decides.")


def test_an_old_card_and_its_host_part_politely(open_cards: Opener) -> None:
    """The host asks before it removes the page; then the page calls nothing more."""
    host = open_cards()
    host.result(generation(CISO))
    host.sees("CISO")
    assert host.page.run("host.teardownResource({})") == {}
    host.click("Full record")
    assert host.sees("Ask the assistant for the full record.")
    assert host.methods("tools/call") == []


def test_without_a_host_the_page_waits(chromium: Browser) -> None:
    """Opened by itself, it fails at nothing."""
    page = chromium.page()
    page.open(PAGE.read_text(encoding="utf-8"))
    assert page.wait("document.querySelector('h1')?.innerText === 'Personas'", in_frame=False)
    page.close()
    assert page.problems == []
