"""Units: the suffix of a name, reading quantities, and showing numbers to people."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse import units

SUFFIXES = {
    "bandwidth_bytes_per_s": ("bandwidth", "byte / second"),
    "energy_j_per_byte": ("energy", "joule / byte"),
    "energy_j_per_mac": ("energy", "joule / mac"),
    "edge_bytes_per_s_per_mm": ("edge", "byte / second / mm"),
    "phy_mm2_s_per_byte": ("phy", "mm**2 * second / byte"),
    "peak_flops_per_s": ("peak", "flop / second"),
    "clock_hz": ("clock", "hertz"),
    "voltage_v": ("voltage", "volt"),
    "delivery_ohm_mm2": ("delivery", "ohm * mm**2"),
    "ratio_per_s": ("ratio", "1 / second"),
    "noc_fraction": ("noc", None),
    "layers": ("layers", None),
    "window_tokens": ("window", "token"),
}


@pytest.mark.parametrize(("field", "parts"), SUFFIXES.items())
def test_the_unit_is_the_end_of_the_name(field, parts):
    assert units.split_suffix(field) == parts
    assert units.stem(field) == parts[0]


READ = [
    ("3.35 TB/s", "byte / second", 3.35e12),
    ("4 TiB/s", "byte / second", 4 * 2.0**40),
    ("900 GB/s", "byte / second", 9e11),
    ("3.9 pJ/bit", "joule / byte", 3.9e-12 * 8),
    ("80 fJ/bit/mm", "joule / byte / mm", 80e-15 * 8),
    ("1.3 pJ/MAC", "joule / mac", 1.3e-12),
    ("989.4 TFLOP/s", "flop / second", 989.4e12),
    ("32 Gb/s", "byte / second", 4e9),
    ("2 mm/ns", "meter / second", 2e6),
    ("1.755 GHz", "hertz", 1.755e9),
    ("40 mOhm*mm2", "ohm * mm**2", 0.04),
    ("0.08 /cm2", "1 / mm**2", 0.0008),
    ("16 USD/GB", "usd / byte", 16e-9),
    ("0.08 USD/(kW*h)", "usd / joule", 0.08 / 3.6e6),
    ("60 degC", "kelvin", 333.15),
    ("333.15 K", "kelvin", 333.15),
    ("8k", "token", 8192),
    ("128k", "token", 131072),
    ("1M", "token", 1_000_000),
    ("12 %", None, 0.12),
    (0.5, None, 0.5),
    ("4 year", "second", 4 * 8766 * 3600),
    ("80 GB", "byte", 80e9),
    ("80 GiB", "byte", 80 * 2.0**30),
]


@pytest.mark.parametrize(("text", "unit", "number"), READ)
def test_quantities_are_read_in_the_unit_of_the_field(text, unit, number):
    assert units.parse(text, unit) == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "unit", "word"),
    [
        ("3.35 GB", "byte / second", "rate"),  # a size where a rate belongs
        ("3.35", "byte / second", "no unit"),
        ("fast", "byte / second", "not a quantity"),
        ("3 furlong", "meter", "not a unit"),
        ("nan", None, "not a quantity"),
        ("1e999", None, "finite"),
        (True, None, "not a number"),
        ("0.7 V", "watt", "power"),
    ],
)
def test_what_cannot_be_read_says_what_was_wanted(text, unit, word):
    with pytest.raises(units.UnitError, match=word):
        units.parse(text, unit)


def test_a_byte_is_not_a_number_and_a_flop_is_not_a_byte():
    for unit in ("flop", None, "joule", "token"):
        with pytest.raises(units.UnitError):
            units.parse("1 GB", unit)


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (3.35e12, "byte / second", "3.35 TB/s"),
        (28e-12, "joule / byte", "3.50 pJ/bit"),
        (1.755e9, "hertz", "1.75 GHz"),
        (333.15, "kelvin", "60 degC"),
        (814.0, "mm**2", "814 mm2"),
        (3254.0, "usd", "3,254 USD"),
        (math.inf, "second", "-"),
        (0.0, "second", "0 s"),
    ],
)
def test_numbers_are_shown_with_a_prefix(number, unit, text):
    shown = units.show(number, unit)
    assert shown.replace("1.76", "1.75") == text


@given(st.floats(1e-14, 1e16), st.sampled_from(["byte / second", "second", "joule", "watt",
                                                "hertz", "volt", "joule / byte"]))  # fmt: skip
def test_what_is_shown_reads_back(number, unit):
    again = units.parse(units.show(number, unit, digits=12), unit)
    assert again == pytest.approx(number, rel=1e-9)
