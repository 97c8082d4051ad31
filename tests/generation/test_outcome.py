"""What became of an item survives the ledger whole, but for what is not for reading."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from support.records import record

from octave_mcp.generation.outcome import Generation, NameExists, NotCreated, NotSent, Outcome, Part, settles_at
from octave_mcp.ledger.records import Item, State
from octave_mcp.octave import errors
from octave_mcp.octave.models import GenerateAnswer, Persona

FACTS: dict[str, Any] = {"octave_message": "Why: \U0001f600 \u202e", "status": 418, "request_id": "req_7"}


def item(state: State, outcome: str | None) -> Item:
    """An item as the ledger has it."""
    return Item("i1", "print", "A", state, "me", 1.0, 2.0, None, None, outcome)


def again(outcome: Outcome) -> Outcome:
    """The outcome, through the ledger."""
    read = Outcome.of_item(item(outcome.state, outcome.to_json()))
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
    NotCreated("Not created.", **FACTS),
    NameExists("Exists.", oid="pe_1", created_at="2026-11-25", **FACTS),
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
    read = again(Outcome.of_error(error))
    assert read.error is not None
    assert (type(read.error), str(read.error), vars(read.error)) == (type(error), str(error), vars(error))
    assert read.usage == getattr(error, "usage", None)
    assert read.state is Outcome.of_error(error).state


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
    text = Outcome.of_error(errors.Busy("Busy.", retry_after=math.inf, status=429)).to_json()
    assert json.loads(text)["error"] == {"kind": "Busy", "text": "Busy.", "status": 429}


def test_unreadable_bytes_are_not_in_the_record() -> None:
    """They are kept elsewhere, bounded; JSON has no bytes."""
    outcome = Outcome.of_error(errors.OutcomeUnknown("Lost.", unreadable=b"CANARY \xff", status=200))
    assert "CANARY" not in outcome.to_json()
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
    assert Outcome.of_item(item(state, Outcome().to_json())) is None


@pytest.mark.parametrize(("state", "kind"), [(State.UNKNOWN, errors.OutcomeUnknown), (State.FAILED, NotSent)])
def test_what_an_owner_left_behind_is_told_by_its_state(state: State, kind: type[errors.OctaveError]) -> None:
    """It ended before it could write."""
    read = Outcome.of_item(item(state, None))
    assert read is not None
    assert isinstance(read.error, kind)
    assert read.state is state


@pytest.mark.parametrize("count", [1, 3])
def test_an_answer_is_an_outcome_with_all_its_personas(count: int) -> None:
    """Octave may answer with more than the one that was asked for."""
    answer = GenerateAnswer.model_validate({"_metadata": {"usage": 5}, "data": [record(n) for n in range(count)]})
    outcome = Outcome.of_answer(answer, name_unchecked=True)
    assert (len(outcome.personas), outcome.usage, outcome.state) == (count, 5, State.CREATED)
    assert again(outcome).name_unchecked


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (errors.OutcomeUnknown("500 by Octave", status=500), ("settled", 60)),
        (errors.OutcomeUnknown("503 with Octave's id", status=503, request_id="req_1"), ("settled", 60)),
        (errors.OutcomeUnknown("a gateway's 504 in JSON", status=504, octave_message="Timed out"), ("sent", 600)),
        (errors.OutcomeUnknown("a gateway's 502", status=502), ("sent", 600)),
        (errors.OutcomeUnknown("a gateway's 504", status=504), ("sent", 600)),
        (errors.OutcomeUnknown("408", status=408), ("sent", 600)),
        (errors.OutcomeUnknown("an answer that cannot be read", status=200), ("sent", 600)),
        (errors.OutcomeUnknown("no answer"), ("sent", 600)),
        (None, ("sent", 600)),
    ],
)
def test_an_unknown_item_settles_soon_only_if_octave_itself_has_answered(
    error: errors.OctaveError | None, after: tuple[str, float]
) -> None:
    """Behind a gateway that gave up, Octave may still be writing the persona."""
    lost = replace(item(State.UNKNOWN, None), sent_at=1000.0, settled_at=1100.0)
    start, seconds = after
    assert settles_at(lost, Outcome(error=error)) == {"sent": 1000.0, "settled": 1100.0}[start] + seconds


@pytest.mark.parametrize("change", [{"state": State.CREATED}, {"name": None}, {"sent_at": None}])
def test_nothing_else_settles_by_a_search(change: dict[str, Any]) -> None:
    """It is settled already, or there is no name to search for."""
    assert settles_at(replace(item(State.UNKNOWN, None), **change), None) is None


def generation(*outcomes: Outcome | None) -> Generation:
    """A call with these outcomes."""
    parts = (Part(item(one.state if one else State.SENT, None), joined=False, outcome=one) for one in outcomes)
    return Generation("gen_1", 1.0, tuple(parts))


def test_a_generation_counts_what_it_has() -> None:
    """Personas once each, credits as told."""
    one, twin = Persona(oId="pe_1"), Persona(oId="pe_1", name="again")
    nameless = Persona(name="no oId")
    lost = Outcome.of_error(errors.OutcomeUnknown("Lost."))
    whole = generation(Outcome((one,), 1.5), Outcome((twin, nameless), 2), lost, None)
    assert (whole.asked, whole.created, whole.live) == (4, 2, 1)
    assert whole.personas == [one, nameless]
    assert whole.usage == 3.5


@pytest.mark.parametrize("told", [(), (None,), (1.7e308, 1.7e308)])
def test_no_credits_told_is_none_and_so_is_more_than_a_number_holds(told: tuple[float | None, ...]) -> None:
    """Zero would be a claim, and infinity is no number."""
    assert generation(*(Outcome((), usage) for usage in told)).usage is None


def test_what_earlier_calls_paid_is_counted_apart() -> None:
    """A person who adds up the usage of several results must not count a persona twice."""
    new = Part(item(State.CREATED, None), joined=False, outcome=Outcome((Persona(oId="pe_1"),), 10))
    earlier = Part(item(State.CREATED, None), joined=True, outcome=Outcome((Persona(oId="pe_2"),), 8))
    whole = Generation("gen_1", 1.0, (new, earlier))
    assert (whole.usage, whole.earlier_usage, whole.unknown) == (10, 8, 0)
