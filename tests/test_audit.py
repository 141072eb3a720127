"""The audit in CI fails for a known vulnerability, and where it cannot look says that, not that there is none."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.pages import ROOT

SOUND = {"name": "numpy", "version": "2.4.6", "vulns": []}
UNKNOWN = {"name": "pillow", "skip_reason": "Dependency not found"}
VULNERABLE = {"name": "gradio", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}


@pytest.mark.parametrize(
    ("printed", "code", "words"),
    [
        (json.dumps({"dependencies": [SOUND]}), 0, "in the 1 packages that were audited: 0; not audited: 0"),
        (json.dumps({"dependencies": [UNKNOWN]}), 0, "in the 0 packages that were audited: 0; not audited: 1"),
        (json.dumps({"dependencies": [SOUND, VULNERABLE]}), 1, "gradio 1.0: PYSEC-1, mended in 1.1"),
        ("", 0, "Not audited, as there is no database to be reached: ConnectionError"),
    ],
    ids=["sound", "unknown", "vulnerable", "no network"],
)
def test_the_audit_says_what_it_found_and_what_it_could_not_look_up(printed, code, words, tmp_path):
    (tmp_path / "printed").write_text(printed)
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat '{tmp_path}/printed'\necho ConnectionError >&2\nexit 1\n")
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = subprocess.run(
        [sys.executable, ROOT / ".ci" / "audit.py"], env=environment, capture_output=True, text=True
    )
    assert result.returncode == code, result.stderr
    assert words in result.stdout
