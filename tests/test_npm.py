"""The lock of what tests take from npm."""

import json

from support.npm import FOLDER, LOCK


def test_the_lock_holds_hashes_and_names_no_address() -> None:
    """So that it works wherever packages come from, and takes nothing else."""
    text = LOCK.read_text(encoding="utf-8")
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert all(one["integrity"].startswith("sha512-") for path, one in packages.items() if path)
    wanted = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
    exact = wanted["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in exact} == exact
