"""What became of an item survives the ledger whole, but for what is not for reading."""

import json
import math
from typing import Any

import pytest
from support.records import record

from octave_mcp.generation.outcome import Generation, NotSent, Outcome, Part
from octave_mcp.generation.records import Item, State
from octave_mcp.octave import errors
from octave_mcp.octave.models import GenerateAnswer, Persona

FACTS: dict[str, Any] = {"octave_message": "Why: \U0001f600 \u202e", "status": 418, "request_id": "req_7"}


def item(state: State, outcome: str | None) -> Item:
    """An item as the ledger has it."""
    return Item("i1", "t", "A", state, "me", 1.0, 2.0, None, None, outcome)


def again(outcome: Outcome) -> Outcome:
    """The outcome, through the ledger."""
    read = Outcome.read(item(outcome.state, outcome.dumps()))
    assert read is not None
    return read


def test_no_error_is_forgotten_below() -> None:
    """A new leaf needs a case of its own here."""

    def leaves(kind: type[errors.OctaveError]) -> set[type[errors.OctaveError]]:
        below = kind.__subclasses__()
        return {leaf for one in below for leaf in leaves(one)} if below else {kind}

    assert leaves(errors.OctaveError) == {type(error) for error in LEAVES}


LEAVES: list[errors.OctaveError] = [
    NotSent("Not sent.", **FACTS),
    errors.Unreachable("Gone.", **FACTS),
    errors.Busy("Busy.", retry_after=7.5, **FACTS),
    errors.KeyProblem("Key.", **FACTS),
    errors.NoCredits("Credits.", **FACTS),
    errors.InputProblem("Input.", **FACTS),
    errors.NothingCreated("Nothing.", usage=0.0, **FACTS),
    errors.SetupProblem("Setup.", **FACTS),
    errors.OutcomeUnknown("Unknown.", **FACTS),
]


@pytest.mark.parametrize("error", [*LEAVES, *(type(error)("Bare.") for error in LEAVES)])
def test_each_error_comes_back_with_all_its_facts(error: errors.OctaveError) -> None:
    """What is told must not depend on whether it is told from memory."""
    read = again(Outcome.of(error))
    assert read.error is not None
    assert (type(read.error), str(read.error), vars(read.error)) == (type(error), str(error), vars(error))
    assert read.usage == getattr(error, "usage", None)
    assert read.state is Outcome.of(error).state


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (NotSent("x"), State.FAILED),
        (errors.Busy("x"), State.FAILED),
        (errors.InputProblem("x"), State.FAILED),
        (errors.OutcomeUnknown("x"), State.UNKNOWN),
        (None, State.CREATED),
    ],
)
def test_only_a_lost_answer_is_unknown(error: errors.OctaveError | None, state: State) -> None:
    """Nothing else may have been paid for."""
    assert Outcome(error=error).state is state


def test_a_wait_without_an_end_is_no_json_and_is_left_out() -> None:
    """Infinity would make the record unreadable to strict readers; the words say what happened."""
    text = Outcome.of(errors.Busy("Busy.", retry_after=math.inf, status=429)).dumps()
    assert json.loads(text)["error"] == {"kind": "Busy", "text": "Busy.", "status": 429}


def test_unreadable_bytes_are_not_in_the_record() -> None:
    """They are kept elsewhere, bounded; JSON has no bytes."""
    outcome = Outcome.of(errors.OutcomeUnknown("Lost.", unreadable=b"CANARY \xff", status=200))
    assert "CANARY" not in outcome.dumps()
    read = again(outcome)
    assert isinstance(read.error, errors.OutcomeUnknown)
    assert (read.error.unreadable, read.error.status) == (None, 200)


def test_personas_come_back_with_what_nobody_knows() -> None:
    """Octave may add fields, and they have been paid for."""
    novel = record(1) | {"novel": {"deep": [1, {"er": None}]}}
    novel["data"] |= {"alsoNovel": [0.5]}
    personas = (Persona.model_validate(novel), Persona.model_validate({"oId": "pe_2", "name": "Ä\u2028"}))
    read = again(Outcome(personas, usage=1.5))
    assert read == Outcome(personas, usage=1.5)
    assert read.oids == [novel["oId"], "pe_2"]
    assert [one.model_dump(exclude_unset=True) for one in read.personas] == [
        one.model_dump(exclude_unset=True) for one in personas
    ]


@pytest.mark.parametrize("state", [State.QUEUED, State.SENT])
def test_a_live_item_has_no_outcome_even_where_an_old_one_is_recorded(state: State) -> None:
    """It was refused and is tried again."""
    assert Outcome.read(item(state, Outcome().dumps())) is None


@pytest.mark.parametrize(("state", "kind"), [(State.UNKNOWN, errors.OutcomeUnknown), (State.FAILED, NotSent)])
def test_what_an_owner_left_behind_is_told_by_its_state(state: State, kind: type[errors.OctaveError]) -> None:
    """It ended before it could write."""
    read = Outcome.read(item(state, None))
    assert read is not None
    assert isinstance(read.error, kind)
    assert read.state is state


@pytest.mark.parametrize(("made", "asked", "got"), [(2, 2, [1, 1]), (1, 2, [1, 0]), (3, 2, [1, 2]), (1, 3, [1, 0, 0])])
def test_an_answer_is_taken_apart_by_its_order(made: int, asked: int, got: list[int]) -> None:
    """What is missing is unknown, what is too much is the last one's, and credits are counted once."""
    answer = GenerateAnswer.model_validate({"_metadata": {"usage": 5}, "data": [record(n) for n in range(made)]})
    outcomes = list(Outcome.all_of(answer, asked))
    assert [len(one.personas) for one in outcomes] == got
    assert [one.state for one in outcomes] == [State.CREATED if count else State.UNKNOWN for count in got]
    assert [one.usage for one in outcomes] == [5, *[None] * (asked - 1)]


def generation(*outcomes: Outcome | None) -> Generation:
    """A call with these outcomes."""
    parts = (Part(item(one.state if one else State.SENT, None), joined=False, outcome=one) for one in outcomes)
    return Generation("gen_1", 1.0, tuple(parts))


def test_a_generation_counts_what_it_has() -> None:
    """Personas once each, credits as told."""
    one, twin = Persona(oId="pe_1"), Persona(oId="pe_1", name="again")
    nameless = Persona(name="no oId")
    lost = Outcome.of(errors.OutcomeUnknown("Lost."))
    whole = generation(Outcome((one,), 1.5), Outcome((twin, nameless), 2), lost, None)
    assert (whole.asked, whole.done, whole.live) == (4, 2, 1)
    assert whole.personas == [one, nameless]
    assert whole.usage == 3.5


@pytest.mark.parametrize("told", [(), (None,), (1.7e308, 1.7e308)])
def test_no_credits_told_is_none_and_so_is_more_than_a_number_holds(told: tuple[float | None, ...]) -> None:
    """Zero would be a claim, and infinity is no number."""
    assert generation(*(Outcome((), usage) for usage in told)).usage is None
