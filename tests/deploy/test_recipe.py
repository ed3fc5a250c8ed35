"""The Yocto recipe: no bitbake here, but what it says of this repository has to be so."""

import hashlib
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "deploy" / "yocto" / "everest-system_git.bb").read_text()
README = (ROOT / "deploy" / "yocto" / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS_OWN = {"python3-core", "python3-modules"}


def recipes(requirements: list[str]) -> set[str]:
    """What OpenEmbedded calls them."""
    return {"python3-" + re.split(r"[^\w-]", one, maxsplit=1)[0].lower() for one in requirements}


def test_libraries_are_those_of_the_project() -> None:
    """Each library of pyproject.toml is a run-time dependency of the recipe, and has a word in its page."""
    block = re.search(r'RDEPENDS:\$\{PN\} \+= "([^"]*)"', RECIPE)
    assert block
    named = set(block[1].replace("\\", "").split())
    assert named == PYTHONS_OWN | recipes(PROJECT["dependencies"])
    assert all(f"`{name}`" in README for name in named - PYTHONS_OWN)


def test_rauc_is_the_projects_extra() -> None:
    """`PACKAGECONFIG` has what the extra has, and RAUC itself."""
    block = re.search(r'PACKAGECONFIG\[rauc\] = ",,,([^"]*)"', RECIPE)
    assert block
    assert set(block[1].split()) == recipes(PROJECT["optional-dependencies"]["rauc"]) | {"rauc"}


def test_files_are_there() -> None:
    """What it installs exists, and the licence is the one whose sum it names."""
    installed = re.findall(r"\$\{S\}/(\S+)", RECIPE)
    assert len(installed) == 5
    assert [file for file in installed if not (ROOT / file).is_file()] == []
    licence = hashlib.md5((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert f"md5={licence}" in RECIPE
