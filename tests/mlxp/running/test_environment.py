import hashlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mlxp.run_directory.files import read_yaml
from mlxp.running.environment import blas, environment, modules_of, packages_of, switches


def test_packages_are_written_once_and_found_by_their_address(tmp_path):
    first, second = environment(tmp_path)["packages"], environment(tmp_path)["packages"]
    assert first == second
    assert len(list((tmp_path / "environments").glob("*.yaml"))) == 1
    names = [line.partition("==")[0] for line in packages_of(tmp_path, first)]
    assert {"omegaconf", "pandas", "hydra-core"} <= set(names)
    assert len(names) == len(set(names))


def test_another_installation_is_another_environment(tmp_path, monkeypatch):
    first = environment(tmp_path / "store")["packages"]
    info = tmp_path / "site/more-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1.5\n")
    (info / "RECORD").write_text("")
    (info / "direct_url.json").write_text(
        '{"url": "https://me:pa55@example.org/more", "vcs_info": {"commit_id": "abc"}}'
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    second = environment(tmp_path / "store")["packages"]
    added = set(packages_of(tmp_path / "store", second)) - set(packages_of(tmp_path / "store", first))
    assert added == {"more==1.5 @ https://<masked>@example.org/more@abc"}


def test_damaged_memory_of_an_environment_is_made_anew(tmp_path):
    address = environment(tmp_path)["packages"]
    for file in (tmp_path / "environments").iterdir():
        file.write_text("gone")
    (tmp_path / "environments" / f"{address}.yaml").unlink()
    assert environment(tmp_path)["packages"] == address
    assert packages_of(tmp_path, address)


def test_address_that_is_not_there_has_no_packages(tmp_path):
    assert packages_of(tmp_path, "0" * 20) == []


def test_only_known_variables_are_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("HF_TOKEN", "hidden-12345")
    monkeypatch.setenv("MY_PRIVATE_NAME", "me")
    recorded = environment(None)["variables"]
    assert recorded["OMP_NUM_THREADS"] == "2"
    assert not {"HF_TOKEN", "MY_PRIVATE_NAME", "HOME", "USER"} & recorded.keys()


def test_environment_is_plain_yaml(tmp_path):
    from mlxp.run_directory.files import write_yaml

    write_yaml(tmp_path / "x.yaml", environment(None))
    assert read_yaml(tmp_path / "x.yaml") == environment(None)


def test_switches_of_torch_are_those_in_force():
    cudnn = SimpleNamespace(deterministic=True, benchmark=False)
    torch = SimpleNamespace(
        are_deterministic_algorithms_enabled=lambda: True,
        get_num_threads=lambda: 4,
        backends=SimpleNamespace(cudnn=cudnn),
        get_float32_matmul_precision=lambda: "high",
    )
    assert switches({"torch": torch}) == {
        "torch.deterministic_algorithms": True,
        "torch.num_threads": 4,
        "torch.backends.cudnn.deterministic": True,
        "torch.backends.cudnn.benchmark": False,
        "torch.float32_matmul_precision": "high",
    }


def test_nothing_is_imported_for_it():
    program = (
        "import sys; from mlxp.running.environment import environment; before = set(sys.modules); environment(None);"
        "print({'torch', 'numpy', 'pandas', 'psutil'} & set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
    )


def test_modules_lead_to_the_packages_that_they_came_from(tmp_path):
    modules = modules_of(tmp_path, environment(tmp_path)["packages"])
    assert (modules["yaml"], modules["hydra"], modules["PIL"]) == ("PyYAML", "hydra-core", "pillow")


def test_lock_file_of_the_project_is_recorded(tmp_path):
    (tmp_path / "uv.lock").write_text("of somebody else")
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "pyproject.toml").write_text("")
    assert environment(None, project / "src")["lock"] is None
    (project / "uv.lock").write_text("version = 1\n")
    lock = environment(None, project / "src")["lock"]
    assert lock == {"file": "uv.lock", "sha256": hashlib.sha256(b"version = 1\n").hexdigest()}


def test_environment_of_conda_has_a_name_and_its_packages(tmp_path, monkeypatch):
    (tmp_path / "env/conda-meta").mkdir(parents=True)
    (tmp_path / "env/conda-meta/mkl-2023.1.0-h213fc3f_46344.json").write_text("{}")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    monkeypatch.delenv("CONDA_DEFAULT_ENV", raising=False)
    recorded = environment(tmp_path)
    assert recorded["conda"] == "env"
    stored = read_yaml(tmp_path / f"environments/{recorded['packages']}.yaml")
    assert stored["conda"] == ["mkl-2023.1.0-h213fc3f_46344"]


def test_library_that_multiplies_matrices_is_told_only_to_programs_that_use_one():
    pytest.importorskip("threadpoolctl", reason="without threadpoolctl, its facts are NOT tested")
    assert blas({}) is None
    numpy = pytest.importorskip("numpy")
    assert {"internal_api", "version", "num_threads"} <= blas({"numpy": numpy})[0].keys()
