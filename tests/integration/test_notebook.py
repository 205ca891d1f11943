from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"


def test_the_tutorial_runs_from_top_to_bottom(own_machine: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(TUTORIAL, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    # Raises at the first cell that fails.
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    assert all(cell.outputs for cell in notebook.cells if cell.cell_type == "code")


def test_the_tutorial_is_stored_without_outputs() -> None:
    notebook = nbformat.read(TUTORIAL, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
