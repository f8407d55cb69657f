"""The documentation: the site builds, its commands are right, its notebooks and Python run."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from snakemake.cli import get_argument_parser

from poreflux.prediction import dataset
from poreflux.run import cli
from poreflux.run.config import complete
from poreflux.run.plan import StudyPlan

FOLDERS = ("tutorials", "howto")
# Of no concern of ours: that a shell has them is enough.
OTHERS = {".", "apptainer", "cd", "cp", "docker", "export", "git", "python3", "venv/bin/pip"}
PAGES = [
    "../README.md",
    *sorted(
        path.relative_to(Path(__file__).parents[2] / "docs").as_posix()
        for folder in FOLDERS
        for path in (Path(__file__).parents[2] / "docs" / folder).glob("*.md")
    ),
]


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """Title and text of each block of code in a language."""
    pattern = rf'^```{language}(?: title="(.*?)")?\n(.*?)^```'
    return re.findall(pattern, page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def parsed_by_poreflux(words: list[str]) -> dict:
    """What a command is called with; an unknown one, or a wrong option, is an error."""
    called = []

    def stub(command):
        if hasattr(command, "commands"):
            for child in command.commands.values():
                stub(child)
        else:
            command.callback = lambda **given: called.append(given)

    root = typer.main.get_command(cli.app)
    stub(root)
    root.main(words, prog_name="poreflux", standalone_mode=False)
    return called[0] if called else {}


def planned_by_snakemake(root: Path, words: list[str], folder: Path) -> None:
    """Check options, targets and configuration, all but the jobs."""
    given = get_argument_parser().parse_args(words)
    rules = re.findall(r"^rule (\w+):", (root / "Snakefile").read_text(), flags=re.MULTILINE)
    assert set(given.targets) <= set(rules)
    merged: dict = {}
    said = [yaml.safe_load((folder / path).read_text()) for path in given.configfile or []]
    said.append(
        {k: yaml.safe_load(v) for k, _, v in (t.partition("=") for t in given.config or [])}
    )
    for config in (yaml.safe_load((root / "config" / "config.yaml").read_text()), *said):
        lay_over(merged, config)
    plan = StudyPlan(complete(merged), root)
    plan.check()
    for target in given.targets:
        plan.check_target(target)


def lay_over(below: dict, above: dict) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            lay_over(below[key], value)
        else:
            below[key] = value


@pytest.fixture
def study(root, cifs, tmp_path):
    """A folder as a reader of the pages has it: CIFs of one's own, the repository's files."""
    for name in ("config", "profiles", "tests"):
        (tmp_path / name).symlink_to(root / name)
    for folder in (tmp_path, tmp_path / "my-study"):
        for name in ("my", "cifs"):
            (folder / name).mkdir(parents=True)
            (folder / name / "mof.cif").symlink_to(cifs / "JIVFUQ_clean.cif")
    labels = dataset()["CH4_d_m2_s"].rename("permeability").sample(30, random_state=1)
    labels.to_csv(tmp_path / "labels.csv", index_label="name")
    return tmp_path


def write_files(page: Path, folder: Path) -> None:
    """Write the files that a page shows with their names."""
    for language in ("yaml", "text"):
        for title, text in blocks(page, language):
            if title:
                (folder / title).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("page", [*PAGES, "../README.md"])
def test_commands_are_right(root, study, monkeypatch, page):
    """Every command is known, takes its options, and its configuration is right."""
    page = root / "docs" / page
    write_files(page, study)
    makefile = (root / "Makefile").read_text()
    folder = study
    for line in "".join(text for _, text in blocks(page, "console")).splitlines():
        assert line.startswith("$ "), line
        command, *words = shlex.split(line[2:])
        monkeypatch.chdir(folder)
        if command == "poreflux":
            given = parsed_by_poreflux(words)
            if words[0] == "init" and not (folder / words[1] / "config.yaml").exists():
                # made for real; in the folder there are CIFs already
                assert cli.main(["init", "fresh"]) == 0
                shutil.copy(folder / "fresh" / "config.yaml", folder / words[1])
            if words[0] == "run":
                words = list(given["words"])
                if words and not words[0].startswith("-") and (folder / words[0]).is_dir():
                    monkeypatch.chdir(folder / words.pop(0))
                if "--configfile" not in words:
                    words += ["--configfile", "config.yaml"]
                planned_by_snakemake(root, words, Path.cwd())
        elif command == "snakemake":
            planned_by_snakemake(root, words, folder)
        elif command == "make":
            assert all(re.search(rf"^{w}:", makefile, flags=re.MULTILINE) for w in words), line
        elif command == "python":
            assert (root / words[0]).is_file(), line
        elif command == "cd":
            folder = folder / words[0] if (folder / words[0]).is_dir() else folder
        else:
            assert command in OTHERS, line


def test_wrong_commands_are_noticed(root, study, monkeypatch):
    """What the test above rests on."""
    monkeypatch.chdir(study)
    with pytest.raises(Exception, match=r"(?i)no such (command|option)"):
        parsed_by_poreflux(["diffusion", "a.cif", "--no-such-option"])
    with pytest.raises(Exception, match="target_eror"):
        planned_by_snakemake(root, ["--config", "diffusion={target_eror: 0.1}"], study)


@pytest.mark.slow("simulates a structure")
def test_python_in_the_pages_runs(root, study, monkeypatch):
    monkeypatch.chdir(study)
    shown = [block for page in PAGES for block in blocks(root / "docs" / page, "python")]
    found = [text for title, text in shown if not title]
    assert found
    for text in found:
        exec(compile(text, "docs", "exec"), {})


def test_the_first_prediction_shows_what_the_readme_shows(root):
    shown = blocks(root / "docs" / "tutorials" / "first_prediction.md", "text")
    assert shown and shown[0][1] in (root / "README.md").read_text(encoding="utf-8")


def test_each_question_is_answered_and_linked(root):
    text = (root / "docs" / "questions.md").read_text(encoding="utf-8")
    answers = re.findall(r"^\d+\. \*\*.*?\?\*\* (.*)", text, flags=re.MULTILINE)
    assert len(answers) == 15 and all("](" in answer for answer in answers)


@pytest.mark.slow("builds a site")
def test_site_builds_and_its_links_hold(root, tmp_path):
    """And a link that leads nowhere would be noticed, also one to a file outside docs/."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(
        [*command, "--config-file", str(root / "mkdocs.yml"), "--site-dir", str(tmp_path / "site")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    overview = (tmp_path / "site" / "results" / "index.html").read_text(encoding="utf-8")
    assert 'href="../repository/benchmarks/harmonic.html"' in overview
    config = (root / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text(config[: config.index("\nnav:")], encoding="utf-8")
    for folder in ("docs", "benchmarks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "benchmarks" / "there.md").write_text("# There\n\n[back](../docs/index.md)\n")
    (tmp_path / "docs" / "hooks.py").write_text((root / "docs" / "hooks.py").read_text())
    for link in ("../benchmarks/there.md", "../benchmarks/nowhere.md"):
        (tmp_path / "docs" / "index.md").write_text(f"# Page\n\n[this]({link})\n")
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == ("nowhere" in link), done.stderr
    assert "nowhere.md" in done.stderr
