"""Listing, showing, importing and checking specs."""

import json
import tomllib

import pytest

from dse.specs import library


@pytest.mark.parametrize(
    ("verb", "kind", "name"),
    [("hw", "chips", "h100_sxm"), ("model", "models", "deepseek-v3"),
     ("workload", "workloads", "chat-8k")],
)  # fmt: skip
def test_lists_name_everything_once(dse, verb, kind, name):
    rows = dse(verb, "list", "--json").json[kind]
    names = [row["name"] for row in rows]
    assert names == library.names(kind)
    assert name in names
    assert all(row["title"] for row in rows)
    assert name in dse(verb, "list").out


def test_show_says_where_each_value_is_from(dse):
    found = dse("hw", "show", "h100_sxm", "--set", "hbm.bandwidth=2x", "--json").json
    tdp = found["values"]["tdp"]
    assert (tdp["value"], tdp["unit"], tdp["source"]) == (700.0, "watt", "nvidia-h100-whitepaper")
    assert tdp["origin"].endswith("h100_sxm.toml")
    assert found["values"]["die"]["origin"].endswith("_class_hopper.toml")
    changed = found["values"]["memory.hbm.bandwidth"]
    assert (changed["value"], changed["origin"]) == (6.7e12, "--set")
    assert found["values"]["minimum_voltage"]["low"] == 0.66
    assert found["words"]["link.scale_up.topology"] == "switch"
    text = dse("hw", "show", "h100_sxm").out
    assert "nvidia-h100-whitepaper" in text
    assert "estimate" in text


@pytest.mark.parametrize(("verb", "name"), [("model", "gpt-oss-120b"), ("workload", "chat-mix")])
def test_models_and_workloads_are_shown_too(dse, verb, name):
    assert dse(verb, "show", name).code == 0
    assert dse(verb, "show", name, "--json").json["values"]
    assert dse(verb, "show", name + "x").code == 2


def test_import_gives_a_model_that_loads(dse, tmp_path):
    config = {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
              "vocab_size": 128256, "num_attention_heads": 32, "num_key_value_heads": 8,
              "intermediate_size": 14336, "tie_word_embeddings": False,
              "unheard_of": 1}  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    answer = dse("model", "import", path, "--name", "my-llama")
    assert answer.code == 0
    assert tomllib.loads(answer.out)["width"] == 4096
    assert "unheard_of" in answer.err
    spec = tmp_path / "my-llama.toml"
    assert dse("model", "import", path, "--name", "my-llama", "-o", spec).code == 0
    assert dse("eval", "h100_sxm", "--model", spec, "--json").code == 0


@pytest.mark.parametrize("text", ["", "[]", "{", '{"model_type": "llama"}', "\udcff", "[" * 99999])
def test_a_bad_config_exits_2(dse, tmp_path, text):
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    answer = dse("model", "import", path)
    assert (answer.code, answer.out) == (2, "")
    assert dse("model", "import", tmp_path / "absent.json").code == 2


def test_everything_that_ships_is_checked_and_well(dse):
    answer = dse("check", "--json")
    assert answer.code == 0
    assert {item["kind"] for item in answer.json["files"]} == set(library.FOLDERS)
    assert [item for item in answer.json["files"] if item["problems"]] == []


def test_check_finds_every_problem_of_a_file(dse, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'base = "h100_sxm"\nsource = "nvidia-h100-whitepaper"\nclok = "1 GHz"\n'
        'tdp = { value = "500 W", source = "hearsay" }\ndie = "814 mm3"\n'
        '[memory.hbm]\nbandwidth = "3 TB"\n'
    )
    answer = dse("check", path)
    assert answer.code == 2
    for said in ("clok: unknown field; did you mean clock?", "die:", "memory.hbm.bandwidth"):
        assert said in answer.out
    path.write_text(
        'base = "h100_sxm"\ntdp = { value = "500 W", source = "hearsay" }\n'
        'die = { value = "814 mm2", source = "estimate" }\nvoltage = "0.8 V"\n'
    )
    answer = dse("check", path)
    assert answer.code == 2
    for said in ("'hearsay' is not listed", "die", "needs range", "voltage", "no source"):
        assert said in answer.out
    assert dse("check", "absent.toml").code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[compute.fp9]\nmacs = 1\nenergy = "1 pJ/MAC"\narea = "0 mm2/MAC"\n', "did you mean fp8?"),
        ('[compute.fp8]\nshares = "fp4"\n', None),
        ('[compute.fp4]\nenergy = "1 pJ/MAC"\narea = "0 mm2/MAC"\n', "state peak, macs"),
        ('[compute.fp4]\nenergy = "1 pJ/MAC"\narea = "0 mm2/MAC"\n'
         'shares = "fp4"\nshares_rate = 1\n', "circular"),
    ],
)  # fmt: skip
def test_fields_that_do_not_go_together_are_refused(dse, tmp_path, text, said):
    path = tmp_path / "mine.toml"
    path.write_text('base = "h100_sxm"\nsource = "definition"\n' + text)
    answer = dse("check", path)
    assert answer.code == (2 if said else 0), answer.out
    assert (said or "ok") in answer.out
