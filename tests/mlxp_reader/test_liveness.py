import pytest

from mlxp_reader.liveness import derived_status


@pytest.mark.parametrize("status", ["STARTING", "RUNNING"])
def test_a_silent_run_whose_process_is_gone_is_lost(status):
    assert derived_status(status, silence=91, heartbeat=10, process_is_gone=True) == "LOST"


@pytest.mark.parametrize("status", ["COMPLETE", "FAILED", "KILLED", "SUBMITTED"])
def test_a_run_that_wrote_how_it_ended_keeps_its_word(status):
    assert derived_status(status, silence=1e6, heartbeat=10, process_is_gone=True) == status


def test_unknown_is_not_dead():
    assert derived_status("RUNNING", silence=1e6, heartbeat=10, process_is_gone=False) == "RUNNING"


@pytest.mark.parametrize(("heartbeat", "silence"), [(10, 89), (60, 179), (None, 89)])
def test_a_few_missed_heartbeats_are_no_end(heartbeat, silence):
    assert derived_status("RUNNING", silence=silence, heartbeat=heartbeat, process_is_gone=True) == "RUNNING"
