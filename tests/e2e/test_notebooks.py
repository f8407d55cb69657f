"""The notebooks of the docs run, with the small study as the one whose tables are looked at."""

import nbformat
import pytest
from nbclient import NotebookClient


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["first_look", "study_tables"])
def test_a_notebook_runs(root, name, monkeypatch, request):
    if name == "study_tables":
        monkeypatch.setenv("STUDY", str(request.getfixturevalue("small") / "results" / "small"))
    folder = root / "docs" / "notebooks"
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    monkeypatch.setenv("PYTHONPATH", str(root / "workflow"))
    NotebookClient(
        notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    printed = [
        output.get("text", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    assert name == "study_tables" or any(text.startswith("D = ") for text in printed)
