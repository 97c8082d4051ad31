"""The kinds of a library's things are declared once, and an error of Octave's points to one of them."""

import asyncio

import pytest
from pydantic import SecretStr
from support.library import Library
from support.upstream import by_the_page, upstream

from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.library_kinds import BRAND_VOICES, KINDS, OFFERINGS, Kind, kind_in_message
from octave_mcp.octave.models import GenerateRequest


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("primaryOfferingOId: not found", OFFERINGS),
        ("No such PRODUCT", OFFERINGS),
        ("Brand voice bv_1 does not exist", BRAND_VOICES),
        ("No playbook for this offering", None),
        ("Not found", None),
        ("", None),
    ],
)
def test_an_error_points_to_the_one_kind_that_it_names(message: str, kind: Kind | None) -> None:
    """If it names several, or none, any of them may be wrong."""
    assert kind_in_message(message) is kind


def test_what_the_kinds_are_used_for_is_in_a_request() -> None:
    """Each names a field that takes an oId, or a type of source."""
    schema = str(GenerateRequest.model_json_schema())
    for kind in KINDS.values():
        assert all(name.removesuffix(" sources") in schema for name in kind.used_for)
        assert kind_in_message(kind.words[0]) is kind


def test_a_kind_that_nothing_takes_is_named_alone() -> None:
    """A new kind may be for looking only; its uses then were empty brackets in the tool's description."""
    assert Kind("rivals", "/rivals", (), ("rival",)).with_uses("{} (for {})") == "rivals"
    assert OFFERINGS.with_uses("{} (for {})") == "offerings (for primaryOfferingOId and offeringOIds)"


@pytest.mark.anyio
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_the_client_reads_the_list_of_each_kind(kind: Kind) -> None:
    """In the shape in which Octave's list has been described."""
    library = Library()
    async with upstream(by_the_page) as octave, OctaveClient(octave.url, SecretStr("sk-0123456789")) as client:
        octave.look_up = library
        page = await asyncio.wait_for(client.list_library(kind, limit=10, offset=0), 20)
        assert page.data
        assert octave.looked_up[0].path == kind.path
