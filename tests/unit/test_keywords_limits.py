"""Memory and CPU in the Engine's numbers."""

from __future__ import annotations

import pytest

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.keywords.limits import byte_size, cpu_quota, whole_number


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 0),
        (1073741824, 2**30),
        (1.0, 1),
        ("512", 512),
        ("512b", 512),
        ("512m", 512 * 2**20),
        ("512MB", 512 * 2**20),
        ("1g", 2**30),
        ("1 GiB", 2**30),
        ("1.5G", 3 * 2**29),
        (".5g", 2**29),
        ("+1e3k", 1024000),
        (" 2k ", 2048),
        ("1t", 2**40),
        (-1, -1),
        ("-1b", -1),
    ],
)
def test_sizes_are_read_as_bytes(value: object, size: int) -> None:
    assert byte_size(value, option="mem_limit") == size


@pytest.mark.parametrize(
    "value", ["", "lots", "1x", "g", "-2", -5, True, [1], None, float("inf"), float("nan")]
)
def test_what_is_no_size_is_refused_with_the_option(value: object) -> None:
    with pytest.raises(BadOption, match="mem_limit"):
        byte_size(value, option="mem_limit")


@pytest.mark.parametrize(
    ("limit", "period", "expected"),
    [
        (1.5, None, {"CpuPeriod": 100_000, "CpuQuota": 150_000}),
        (0.5, 0, {"CpuPeriod": 100_000, "CpuQuota": 50_000}),
        (2, 50_000, {"CpuPeriod": 50_000, "CpuQuota": 100_000}),
        (2.0, "50000", {"CpuPeriod": 50_000, "CpuQuota": 100_000}),
    ],
)
def test_a_cpu_limit_is_a_quota_of_the_period(limit: float, period: object, expected: dict[str, int]) -> None:
    assert cpu_quota(limit, period, option="extra_host_config.cpu_period") == expected


@pytest.mark.parametrize(("value", "number"), [(3, 3), ("4", 4), (3.0, 3), ("-1", -1)])
def test_whole_numbers_are_read(value: object, number: int) -> None:
    assert whole_number(value, option="x") == number


@pytest.mark.parametrize("value", [True, 1.5, "many", None, [], float("nan")])
def test_what_is_no_whole_number_is_refused_with_the_option(value: object) -> None:
    with pytest.raises(BadOption, match="pids_limit"):
        whole_number(value, option="pids_limit")
