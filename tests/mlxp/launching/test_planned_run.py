"""What is recorded of runs that are submitted instead of started is what they would record themselves."""


def test_submitted_configuration_is_the_one_of_the_run(make_desk):
    desk = make_desk("observed", "SLURM")
    (desk.directory / "configs/mlxp.yaml").unlink()
    with (desk.directory / "configs/config.yaml").open("a", encoding="utf-8") as file:
        file.write(f"needed: ???\nhydra:\n  searchpath: ['file://{desk.directory}/more']\n")
    desk.submit("#!/bin/bash\n#SBATCH --time=1\npython main.py +plug=p,q needed=1,2\n")
    submitted = [desk.app.config(log_id) for log_id in (1, 2, 3, 4)]
    assert [config["plug"] for config in submitted] == [{"size": 3}, {"size": 3}, {"size": 4}, {"size": 4}]
    assert [config["needed"] for config in submitted] == [1, 2, 1, 2]
    assert (submitted[0]["list"], submitted[0]["beta"]) == ([1, 2], [0.9, 0.999])
    assert desk.app.run("+plug=p,q", "needed=1,2").returncode == 0
    started = [desk.app.config(log_id) for log_id in (5, 6, 7, 8)]
    for one, other in zip(submitted, started, strict=True):
        assert one == other | {name: one[name] for name in ("home", "time", "asked")}  # of a user and of a launch
