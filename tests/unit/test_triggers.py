"""What makes Snakemake run a job again, without Snakemake: the words among its params."""

import ast
import shutil
from pathlib import Path

import pytest
from snakemake.io import apply_wildcards, get_wildcard_names

from poreflux.run.triggers import RUNNING, code_words, file_words, words
from poreflux.store import code as code_module
from poreflux.store.code import code_parts

SCRIPTS = sorted((Path(__file__).parents[2] / "scripts").glob("*.py"))


@pytest.fixture
def package(root, tmp_path, monkeypatch):
    """A copy of the library, to edit, and the means to see what that changes."""
    package = tmp_path / "poreflux"
    shutil.copytree(
        root / "workflow" / "poreflux", package, ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(code_module, "PACKAGE", package)
    forget()
    yield package
    forget()


def forget():
    code_module._module.cache_clear()
    code_module._script.cache_clear()


def imported(script):
    """The library modules that a script names."""
    found = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("poreflux"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if code_module._file(inner) else node.module)
    return found


def runs_jobs_alone(module):
    return any(module == name or module.startswith(f"{name}.") for name in RUNNING)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_edit_of_any_module_that_a_script_imports_runs_its_jobs_again(package, script):
    """Labels read files through a module that their rule did not follow."""
    before = set(code_words(script))
    modules = {name for name in imported(script) if not runs_jobs_alone(name)}
    assert modules
    for module in sorted(modules):
        path = code_module._file(module)
        text = path.read_text()
        path.write_text(text + "\n# a comment\n")
        forget()
        assert set(code_words(script)) == before
        path.write_text(text + "\nNOTHING = None\n")
        forget()
        changed = set(code_words(script)) - before
        assert any(word.startswith(f"code of {module} = ") for word in changed), module
        path.write_text(text)


def test_another_data_file_runs_nothing_again(package):
    """A word in the code of the store was taken for the folder of all data files."""
    before = {script: code_words(script) for script in SCRIPTS}
    guests = package / "fields" / "parameters" / "guests"
    (guests / "Rn.json").write_text((guests / "Xe.json").read_text())
    forget()
    assert {script: code_words(script) for script in SCRIPTS} == before


def test_what_runs_a_job_has_no_part_in_its_result(package):
    script = next(path for path in SCRIPTS if path.stem == "run_stage")
    for word in code_words(script):
        assert not runs_jobs_alone(word.removeprefix("code of ").partition(" = ")[0]), word
    assert "poreflux.run.artifacts" in code_parts(script)


def test_a_word_per_leaf_says_which_setting_it_is():
    found = words(uptake={"engine": "grid", "pressures_bar": [1.0]}, labels={}, seed=1)
    assert found == [
        'uptake.engine = "grid"',
        "uptake.pressures_bar = [1.0]",
        "labels = {}",
        "seed = 1",
    ]


def test_no_word_is_a_wildcard_and_different_settings_are_different_words():
    names = ["{nm}", "size {nm}", "size { nm }", "{a,b+}", "{{nm}}", "${HOME}/x.csv", "{0}", "{}"]
    found = [words(columns={name: name})[0] for name in names]
    assert len(set(found)) == len(names)
    for word in (*found, *words(rows=[{"a": "{b}"}])):
        assert get_wildcard_names(word) == set(), word
        assert apply_wildcards(word, {}) == word


def test_a_file_counts_with_its_content(tmp_path):
    path = tmp_path / "page.html.j2"
    path.write_text("a")
    before = file_words([path])
    path.write_text("b")
    assert file_words([path]) != before and file_words([path])[0].startswith("file page.html.j2 = ")
