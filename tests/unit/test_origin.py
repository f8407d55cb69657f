"""The date and the commit that a page shows."""

import subprocess

from poreflux.run.origin import origin


def git(folder, *arguments):
    settings = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *settings, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_commit_is_that_of_the_repository(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "a").write_text("a")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "first")
    commit = origin(tmp_path)["commit"]
    assert len(commit) >= 7 and git(tmp_path, "rev-parse", "HEAD").startswith(commit)
    (tmp_path / "a").write_text("b")
    assert origin(tmp_path)["commit"] == f"{commit}-dirty"
    # a folder inside a repository of somebody's own is none
    (tmp_path / "inside").mkdir()
    assert origin(tmp_path / "inside")["commit"] == ""


def test_date_can_be_given(tmp_path, monkeypatch):
    # one day after the beginning of 1970
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert origin(tmp_path) == {"date": "1970-01-02", "commit": ""}
