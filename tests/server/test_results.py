"""What a result says of an error; results as a whole are tested through the tool."""

import inspect

import pytest

from octave_mcp.octave import errors
from octave_mcp.server.results import explain

CLASSES = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.OctaveError)]
LEAVES = [kind for kind in CLASSES if not kind.__subclasses__()]


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_says_whether_a_persona_may_exist_and_what_to_do(kind: type[errors.OctaveError]) -> None:
    """Each leaf of the tree has its advice; only an unknown outcome may have made something."""
    told = explain(kind("Something happened."))
    assert told.startswith("Something happened. ")
    may_exist = "It may have been made and paid for all the same" in told
    assert may_exist == (kind is errors.OutcomeUnknown)
    assert may_exist != ("Nothing was made." in told or "Nothing was sent." in told)
    assert "try again" not in told.lower()


def test_what_is_known_of_an_error_is_told() -> None:
    """How long to wait, Octave's words, and its id of the request where somebody will have to ask."""
    assert "It asked to wait 8 seconds." in explain(errors.Busy("Busy.", retry_after=7.2))
    assert "It asked to wait" not in explain(errors.Busy("Busy.", retry_after=0))
    assert '"No such oId"' in explain(errors.InputProblem("No.", octave_message="No such\noId"))
    assert "req_9" in explain(errors.OutcomeUnknown("Lost.", request_id="req_9"))
    assert "req_9" not in explain(errors.InputProblem("No.", request_id="req_9"))
