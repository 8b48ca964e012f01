"""The study file that the documentation prints is one that reads."""

import pathlib
import re

from dse.search import settings


def test_the_study_of_the_documentation_reads(tmp_path):
    page = pathlib.Path(__file__).parents[2] / "docs" / "studies.md"
    file = tmp_path / "mixed.toml"
    file.write_text(re.search(r"```toml\n(.*?)```", page.read_text("utf-8"), re.S)[1], "utf-8")
    read = settings.read(str(file))
    assert len(read.space.families) == 4 + 2
    assert len(read.scenarios) == 2
    assert read.combination.weights == (0.75, 0.25)
    assert read.limit_names[-2:] == ("load >=", "load <=")
    by_base = {family.base: {axis.path for axis in family.axes} for family in read.space.families}
    assert "memory.hbm.stacks" in by_base["reticle_n3_hbm4"]
    assert "memory.hbm.stacks" not in by_base["reticle_n3_stacked"]
