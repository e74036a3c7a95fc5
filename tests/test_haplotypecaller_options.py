"""HaplotypeCaller's options against GATK's recorded outputs: headers, records and the other files, line by line."""

import pytest
from recorded_calls import recorded, run_recorded


@pytest.mark.parametrize("name", [n for n in recorded() if not n.startswith("alleles")])
def test_is_what_gatk_wrote(name, demo, tmp_path):
    ours, expected = run_recorded(name, demo, tmp_path)
    assert ours == expected


def test_all_runs_are_here():
    assert len(recorded()) == 107
