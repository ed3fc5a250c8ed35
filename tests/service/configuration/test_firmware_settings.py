"""`[firmware]`: keys that do not go together."""

from pathlib import Path

import pytest
from support.cli import run_cli


@pytest.mark.parametrize(
    ("lines", "code", "problem"),
    [
        ('crl_policy = "require"', 2, 'firmware.crls: must be set, since firmware.crl_policy is "require"'),
        ('crl_policy = "require"\ncrls = ["."]', 0, ""),
        ('crl_policy = "try"', 0, ""),
        ('crl_policy = "soft"', 2, 'firmware.crl_policy: "soft" is not allowed; allowed: one of "try", "require"'),
    ],
)
def test_crl_policy(tmp_path: Path, lines: str, code: int, problem: str) -> None:
    """Lists can be required only where there are some: else no certificate would ever do."""
    file = tmp_path / "config.toml"
    file.write_text(f'[firmware]\n{lines}\n[station]\nstate_dir = "{tmp_path}"\n')
    answer = run_cli("check-config", "-c", file)
    assert (answer[0], problem in answer[2]) == (code, True)
