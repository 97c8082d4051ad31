"""`server.json`, as the MCP registry takes it, and the word in the README by which it knows whose the package is."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from octave_mcp import __distribution__, __version__
from octave_mcp.settings import Settings, setting_name

ROOT = Path(__file__).parents[2]
SERVER: dict[str, Any] = json.loads((ROOT / "deploy" / "server.json").read_text(encoding="utf-8"))
(PACKAGE,) = SERVER["packages"]


def faults(server: dict[str, Any]) -> list[str]:
    """What the registry's own schema, of the date that the file names, has against it."""
    (date,) = re.findall(r"/schemas/(\d{4}-\d\d-\d\d)/", server["$schema"])
    path = f"schemas/mcp_registry/v{date.replace('-', '_')}/server.schema.json"
    schema = json.loads((files("skillsaw") / path).read_text(encoding="utf-8"))
    assert schema["$id"] == server["$schema"]
    return [error.message for error in Draft7Validator(schema).iter_errors(server)]


def test_the_registrys_schema_has_nothing_against_it() -> None:
    """The registry refuses what does not fit it."""
    assert faults(SERVER) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "octave-personas-mcp"},
        {"description": "x" * 101},
        {"packages": [{**PACKAGE, "transport": {"type": "pipe"}}]},
        {"packages": [{**PACKAGE, "version": "latest"}]},
    ],
)
def test_the_schema_is_looked_at(wrong: dict[str, Any]) -> None:
    """A check that nothing fails says nothing."""
    assert faults({**SERVER, **wrong})


def test_it_names_the_package_of_this_version() -> None:
    """By its own name, since `octave-personas-mcp` is another project's, and never a range."""
    assert SERVER["version"] == PACKAGE["version"] == __version__
    assert (PACKAGE["registryType"], PACKAGE["identifier"]) == ("pypi", __distribution__)
    assert PACKAGE["runtimeHint"] == "uvx"
    assert "fileSha256" not in PACKAGE, "nothing is published yet that could have one"


def test_its_variables_are_settings_with_their_words_and_defaults() -> None:
    """Only the key is a secret, and only the key must be given."""
    settings = {setting_name(name): field for name, field in Settings.model_fields.items()}
    for variable in PACKAGE["environmentVariables"]:
        field = settings[variable["name"]]
        assert variable["description"] == field.description
        secret = variable["name"] == "OCTAVE_API_KEY"
        default = None if secret else field.default
        assert variable.get("default") == (None if default is None else str(default).lower())
        assert variable.get("isSecret", False) is variable.get("isRequired", False) is secret


def test_the_readme_says_whose_the_package_is() -> None:
    """The registry looks for exactly this in what the package index shows, which is the README."""
    named = re.findall(r"mcp-name: (\S+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert named == [SERVER["name"]]
