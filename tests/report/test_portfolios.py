"""Portfolios as tables, from an answer small enough to read."""

import io

from rich.console import Console

from dse.report import portfolios


def chip(trial, design, low, high):
    knobs = [
        {"path": "voltage", "value": 0.55, "unit": "volt"},
        {"path": "memory.dram.layers", "value": 4.0, "unit": None},
        {"path": "compute.fp8.macs", "value": 1e6, "unit": None},
    ]
    return {
        "trial": trial, "design": design, "title": "DRAM stacked on logic",
        "user_tokens_per_s": 12345.6, "j_per_token": 0.0246,
        "serves": [{"from_user_tokens_per_s": low, "to_user_tokens_per_s": high}],
        "hardware": {"base": "reticle_n3_stacked", "choices": {"process": "n3"}, "knobs": knobs},
    }  # fmt: skip


def answer(*sets):
    return {
        "run": "tiny", "reference_point": [10.0, 1e-3], "hypervolume": 14.5, "candidates": 4656,
        "swept_again": 733, "deployments": 7700, "k": 4,
        "portfolios": [
            {"k": len(chips), "exact": len(chips) < 3, "share": share, "chips": chips,
             "gives_up": {"user_tokens_per_s": 1.42, "j_per_token": 1.1}}
            for share, chips in sets
        ],
    }  # fmt: skip


SLOW, MIDDLE, FAST = (
    chip(7, "7.12", 10.0, 400.0),
    chip(9, None, 400.0, 5000.0),
    chip(11, "11.3", 5000.0, 12345.6),
)
ANSWER = answer((0.94999, [FAST]), (0.99999, [SLOW, FAST]), (1.0, [SLOW, MIDDLE, FAST]))


def printed(part):
    console = Console(file=io.StringIO(), width=200)
    console.print(part)
    return console.file.getvalue()


def test_shares_are_rounded_down_so_that_only_the_whole_is_all_of_it():
    said = printed(portfolios.heading(ANSWER))
    assert "1 chip 94.99 %, 2 chips 99.99 %, 3 chips 100.00 %" in said


def test_one_chip_gives_up_a_factor_at_each_end():
    said = " ".join(printed(portfolios.gives_up(ANSWER)).split())
    assert "1.10x the front's energy per token" in said
    assert "1.42x its time per token" in said


def test_each_set_says_how_it_was_chosen_and_what_each_chip_is_for():
    lines = printed(portfolios.sets(ANSWER)).splitlines()
    assert ["exact" in line for line in lines if "%" in line] == [True, True, False]
    assert ["greedy" in line for line in lines if "%" in line] == [False, False, True]
    assert "up to 400.0" in next(line for line in lines if "7.12" in line)
    assert "5,000 to 12,346" in lines[-1]
    assert "24.6 mJ" in lines[-1]


def test_each_chip_has_one_column_of_knobs():
    (table,) = portfolios.knobs(ANSWER)
    assert [column.header for column in table.columns] == ["", "trial 11", "trial 7", "trial 9"]
    said = printed(table)
    for word in ("550 mV", "1,000,000", "process", " 4 "):
        assert word in said


def test_many_chips_are_printed_a_few_abreast():
    many = answer((0.9, [chip(trial, None, 10.0, 20.0) for trial in range(13)]))
    assert [len(table.columns) - 1 for table in portfolios.knobs(many)] == [6, 6, 1]


def test_what_to_type_next_names_a_design_of_the_front():
    said = portfolios.notes(ANSWER, "tiny")
    assert "dse explain tiny#11.3" in said
    assert "no further chip adds anything to these 3" in said
    assert "--json" in said
    none = answer((1.0, [MIDDLE]))
    assert "dse explain" not in portfolios.notes(none, "tiny")
