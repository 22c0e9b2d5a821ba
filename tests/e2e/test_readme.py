"""The README's example is run as it stands; links of README and docs lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.small_models import small_model

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def example():
    text = (ROOT / "README.md").read_text()
    return re.search(r"<!-- example: run by tests/e2e/test_readme.py -->\n```sh\n(.*?)```", text, flags=re.S)[1]


def test_the_example_runs(tmp_path):
    (tmp_path / "model.tflite").write_bytes(small_model())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["sh", "-ec", example()]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "src" / "model.c").is_file()
    assert "MACs" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
