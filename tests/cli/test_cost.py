"""``explorer cost``: for how many classes it counts, and who says so."""

import json

import pytest

import search_spaces
from explorer.cli.app import run
from explorer.cost import class_count, cost_info
from explorer.spec import load_space
from trainables.kit.data.cards import CARDS, read_card


def test_what_is_given_comes_before_the_data_and_these_before_the_search_space(clips):
    absent = load_space("arnet_quickstart", ["data.manifest=absent.jsonl"], files=False)
    here = load_space("arnet_quickstart", [f"data.manifest={clips}", "classes=9"], files=False)
    assert [class_count(space, given).count for space, given in ((absent, None), (here, None), (here, 4))] == [6, 6, 4]
    assert class_count(here).source == "of the data"
    unknown = load_space("arnet_small", ["data.manifest=absent.jsonl"], files=False)
    assert "assumed" in class_count(unknown).source


def test_a_class_costs_one_row_of_the_linear_layers():
    space = load_space("adafuse_jester", files=False)
    macs = [cost_info(space, classes=c)["conventions"]["full"]["per_segment_macs"]["plain"] for c in (27, 28)]
    assert macs[1] - macs[0] == 2048


@pytest.mark.parametrize("name", [n for n in search_spaces.names() if n.partition("_")[2] in CARDS])
def test_a_shipped_space_of_a_paper_s_data_set_says_its_number_of_classes(name):
    assert load_space(name, files=False).classes == read_card(name.partition("_")[2]).classes


def test_the_command_says_how_many_classes(capsys):
    assert run(["cost", "adafuse_jester"]) == 0
    assert "27 classes (as the search space says)" in " ".join(capsys.readouterr().out.split())
    assert run(["cost", "adafuse_jester", "--classes", "174", "--json"]) == 0
    raw = json.loads(capsys.readouterr().out)
    assert (raw["classes"], raw["classes_source"]) == (174, "as given")
