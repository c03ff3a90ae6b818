"""The documentation site: what it lists is what there is."""

import json
import re
from pathlib import Path

import soundit_geo

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def test_every_public_name_stands_in_the_reference():
    page = (DOCS / "api" / "public.md").read_text("utf-8")
    listed = set(
        re.findall(r"^   (?:\.\. py:data:: )?(\w+)$|^\.\. py:data:: (\w+)$", page, flags=re.MULTILINE)
    )
    names = {name for pair in listed for name in pair if name}
    assert names == {name for name in soundit_geo.__all__ if not name.startswith("__")}


def test_relative_links_of_the_documents_lead_to_files():
    pages = [*DOCS.glob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
    for page in pages:
        prose = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#\s]+)", prose):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_notebooks_carry_no_outputs_and_no_execution_counts():
    books = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert len(books) >= 5
    for book in books:
        cells = json.loads(book.read_text("utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert code
        kept = [cell["source"] for cell in code if cell["outputs"] or cell["execution_count"] is not None]
        assert kept == [], f"{book.name}: clear its outputs before you commit it"
        assert not [cell for cell in cells if {"execution", "ExecuteTime"} & set(cell["metadata"])], book.name
