"""What a test machine must have for the rest of this folder."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel


def test_the_kernel_has_ipvs() -> None:
    """Its table can be read."""
    assert Path("/proc/net/ip_vs").read_text().startswith("IP Virtual Server")
