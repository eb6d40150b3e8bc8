"""Saving and loading objects."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import yaml
from PIL import Image

from mlxp import DefaultLogger
from mlxp.errors import InvalidArtifactError, InvalidKeyError, LogDirectoryError
from mlxp.run_directory.import_paths import imported

mpl.use("agg")


@pytest.fixture
def logger(tmp_path):
    with DefaultLogger(tmp_path / "logs") as logger:
        yield logger


def names(logger):
    return yaml.safe_load(Path(logger.artifacts_dir, ".keys/artifacts.yaml").read_text(encoding="utf-8"))


def saved(logger):
    root = Path(logger.artifacts_dir)
    files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return sorted(name for name in files if not name.startswith(".keys/"))


def test_checkpoint_comes_back(logger):
    logger.log_checkpoint({"epoch": 3, "f": lambda x: x + 1}, "last_ckpt")
    assert saved(logger) == ["pickle/last_ckpt.pkl"]
    assert logger.load_checkpoint("last_ckpt")["f"](1) == 2


def test_checkpoint_is_replaced_under_one_name(logger):
    for epoch in range(3):
        logger.log_checkpoint(epoch)
    assert logger.load_checkpoint() == logger.load_checkpoint("checkpoint.pkl") == 2
    assert names(logger) == {"pickle": {"": ["checkpoint.pkl"]}}


def test_missing_checkpoint_is_a_missing_file(logger):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint last_ckpt in"):
        logger.load_checkpoint("last_ckpt")


def test_checkpoint_of_another_run_is_loaded_by_its_directory(logger, tmp_path):
    logger.log_checkpoint(7, "last_ckpt")
    with DefaultLogger(tmp_path / "logs") as other:
        assert other.load_checkpoint("last_ckpt", root=logger.log_dir) == 7
        assert other.load_checkpoint("last_ckpt", root=os.path.join(logger.artifacts_dir, "pickle")) == 7
        assert other.load_artifacts("last_ckpt.pkl", root=logger.log_dir) == 7


def test_checkpoint_without_suffix_of_an_earlier_release_is_found(logger):
    logger.log_artifacts({"epoch": 1}, "last_ckpt", "pickle")
    assert logger.load_checkpoint("last_ckpt") == {"epoch": 1}


def test_object_that_cannot_be_saved_leaves_the_previous_one(logger):
    logger.log_checkpoint(1)
    with pytest.raises(InvalidArtifactError, match="an object of type generator cannot be pickled"):
        logger.log_checkpoint(x for x in range(3))
    assert logger.load_checkpoint() == 1
    assert saved(logger) == ["pickle/checkpoint.pkl"]


def test_crash_while_saving_leaves_the_previous_one(tmp_path):
    code = (
        "import os, signal, sys, mlxp\n"
        "class Deadly:\n"
        "    def __reduce__(self): os.kill(os.getpid(), signal.SIGKILL)\n"
        "logger = mlxp.DefaultLogger(sys.argv[1])\n"
        "logger.log_checkpoint('good')\n"
        "logger.log_checkpoint(['x' * 10**6, Deadly()])"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    with DefaultLogger(tmp_path, forced_log_id=1) as logger:
        assert logger.load_checkpoint() == "good"


def test_arrays_come_back_one_or_many(logger):
    logger.log_artifacts(np.arange(3), "w.npy", "numpy")
    logger.log_artifacts({"a": np.eye(2), "b": np.zeros(1)}, "weights", "numpy")
    assert logger.load_artifacts("w.npy").tolist() == [0, 1, 2]
    assert logger.load_artifacts("weights")["a"].tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("name", ["w.npy", "w.npz", "weights", "plots/final/w.bin"])
def test_name_on_disk_is_the_name_asked_for(logger, name):
    logger.log_artifacts(np.arange(3), name, "numpy")
    assert saved(logger) == [f"numpy/{name}"]


def test_image_of_a_figure(logger):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    axes.plot([1, 2, 3])
    logger.log_artifacts(figure, "plots/loss.png", "image")
    plt.close(figure)
    assert logger.load_artifacts("plots/loss.png").ndim == 3


def test_image_of_pillow_and_of_arrays(logger):
    ramp = np.linspace(0, 255, 12).astype(np.uint8).reshape(3, 4)
    logger.log_artifacts(Image.fromarray(ramp), "pil.png", "image")
    logger.log_artifacts(ramp, "bytes.png", "image")
    logger.log_artifacts(ramp / 255, "floats.png", "image")
    for name in ("pil.png", "bytes.png", "floats.png"):
        assert (logger.load_artifacts(name) * 255).round().astype(int).tolist() == ramp.tolist()


@pytest.mark.parametrize("name", ["ramp", "epoch1.5"])
def test_image_without_a_known_suffix_is_png(logger, name):
    import matplotlib.pyplot as plt

    figure = plt.figure()
    for number, image in enumerate((figure, np.eye(3))):
        logger.log_artifacts(image, f"{name}-{number}", "image")
        assert Path(logger.artifacts_dir, "image", f"{name}-{number}").read_bytes().startswith(b"\x89PNG")
    plt.close(figure)


def test_library_that_cannot_save_an_object_is_not_blamed_on_the_directory(logger):
    with pytest.raises(InvalidArtifactError, match=r"cannot save the artifact x.jpg: cannot write mode RGBA as JPEG"):
        logger.log_artifacts(np.zeros((2, 2, 4)), "x.jpg", "image")


@pytest.mark.parametrize("artifact", [np.array([{}, 1], dtype=object), {"file": np.eye(2)}])
def test_array_that_could_not_be_loaded_is_refused(logger, artifact):
    with pytest.raises(InvalidArtifactError, match="the artifact type 'numpy' takes an array"):
        logger.log_artifacts(artifact, "x", "numpy")


def test_folder_of_artifacts_is_not_replaced_by_one(logger):
    logger.log_artifacts(1, "e/f", "pickle")
    with pytest.raises(InvalidArtifactError, match="is a folder of other artifacts; choose another name"):
        logger.log_artifacts(2, "e", "pickle")
    assert logger.load_artifacts("e/f") == 1


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd"])
def test_checkpoint_outside_of_the_run_is_not_loaded(logger, name):
    with pytest.raises(InvalidKeyError):
        logger.load_checkpoint(name)


def test_leftovers_of_a_killed_attempt_are_removed(logger, tmp_path):
    Path(logger.artifacts_dir, ".saving-abc").mkdir()
    with DefaultLogger(tmp_path / "logs", forced_log_id=1):
        assert not Path(logger.artifacts_dir, ".saving-abc").exists()


def test_what_is_no_image_is_refused(logger):
    with pytest.raises(InvalidArtifactError, match=r"an image is .* not list of shape \(5,\)"):
        logger.log_artifacts([1, 2, 3, 4, 5], "x.png", "image")


@pytest.mark.parametrize(
    ("module", "package", "artifact_type"), [("torch", "torch", "torch"), ("PIL.Image", "pillow", "image")]
)
def test_missing_library_is_named_with_what_to_install(logger, monkeypatch, module, package, artifact_type):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidArtifactError, match=f"needs {package}, which is not installed: pip install {package}"):
        logger.log_artifacts([[1.0]], "x", artifact_type)


@pytest.mark.parametrize(
    ("module", "package", "artifact_type"), [("torch", "torch", "torch"), ("matplotlib.image", "matplotlib", "image")]
)
def test_artifact_of_a_missing_library_is_not_loaded(logger, monkeypatch, module, package, artifact_type):
    file = Path(logger.artifacts_dir, artifact_type, "x")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"saved elsewhere")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidArtifactError, match=f"needs {package}, which is not installed: pip install {package}"):
        logger.load_artifacts("x", artifact_type)


def test_unknown_type_names_the_known_ones(logger):
    with pytest.raises(
        InvalidArtifactError, match="unknown artifact type 'text'; the types are: pickle, numpy, torch, image"
    ):
        logger.log_artifacts("x", "x.txt", "text")


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/tmp/x", "a\\..\\x", "", ".", "a/.hidden", ".keys", "C:\\x", "x\0"]
)
def test_names_that_leave_the_directory_are_refused(logger, name):
    with pytest.raises(InvalidKeyError, match="the name of an artifact is a relative path inside its folder"):
        logger.log_artifacts(1, name, "pickle")
    with pytest.raises(InvalidKeyError):
        logger.load_artifacts(name, "pickle")


def test_names_are_listed_by_type_and_folder(logger):
    for name in ("b.pkl", "a.pkl", "plots/final/é x.pkl", "null"):
        logger.log_artifacts(1, name, "pickle")
    assert names(logger) == {"pickle": {"": ["b.pkl", "a.pkl", "null"], "plots/final": ["é x.pkl"]}}


def test_missing_artifact_is_a_missing_file(logger):
    with pytest.raises(FileNotFoundError, match=r"there is no artifact x.pkl in"):
        logger.load_artifacts("x.pkl")
    with pytest.raises(FileNotFoundError, match=r"there is no artifact x.pkl of type pickle in"):
        logger.load_artifacts("x.pkl", "pickle")


def test_same_name_in_two_types_asks_for_the_type(logger):
    logger.log_artifacts(1, "x", "pickle")
    logger.log_artifacts(np.arange(2), "x", "numpy")
    with pytest.raises(
        InvalidArtifactError, match=r"numpy and pickle have an artifact x in .*; give the artifact_type"
    ):
        logger.load_artifacts("x")
    assert logger.load_artifacts("x", "pickle") == 1


@pytest.fixture
def text_module(tmp_path, monkeypatch):
    (tmp_path / "text_artifacts.py").write_text(
        "from pathlib import Path\n"
        "def save(text, path): Path(path).write_text(text, encoding='utf-8')\n"
        "def load(path): return Path(path).read_text(encoding='utf-8')\n"
        "def save_with_suffix(text, path): Path(path + '.txt').write_text(text, encoding='utf-8')\n"
        "def save_folder(text, path): Path(path).mkdir(); save(text, Path(path, 'a'))\n"
        "def load_folder(path): return load(Path(path, 'a'))\n"
        "def save_nothing(text, path): pass\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    import text_artifacts

    yield text_artifacts
    sys.modules.pop("text_artifacts")


def test_own_type_is_saved_loaded_and_recorded_by_its_import_path(logger, text_module, tmp_path):
    logger.register_artifact_type("text", text_module.save, text_module.load)
    logger.log_artifacts("hello", "notes/a.txt", "text")
    assert logger.load_artifacts("notes/a.txt") == "hello"
    recorded = yaml.safe_load(Path(logger.artifacts_dir, ".keys/custom_types.yaml").read_text(encoding="utf-8"))
    assert recorded == {"text": {"save": "text_artifacts:save", "load": "text_artifacts:load", "path": str(tmp_path)}}


def test_own_type_may_append_a_suffix_or_write_a_folder(logger, text_module):
    logger.register_artifact_type("suffixed", text_module.save_with_suffix, text_module.load)
    logger.register_artifact_type("folder", text_module.save_folder, text_module.load_folder)
    for _ in range(2):
        logger.log_artifacts("hello", "a", "suffixed")
        logger.log_artifacts("hello", "b", "folder")
    assert saved(logger) == ["folder/b/a", "suffixed/a"]
    assert logger.load_artifacts("a", "suffixed") == logger.load_artifacts("b", "folder") == "hello"


def test_own_type_that_writes_nothing_is_an_error(logger, text_module):
    logger.register_artifact_type("nothing", text_module.save_nothing, text_module.load)
    with pytest.raises(
        InvalidArtifactError, match="saving the artifact a must write one file or folder; it wrote nothing"
    ):
        logger.log_artifacts("x", "a", "nothing")


def test_function_that_cannot_be_imported_is_refused_with_the_fix(logger, text_module):
    with pytest.raises(
        InvalidArtifactError, match=r"<lambda> cannot be imported .*; give a function at the top level of a module"
    ):
        logger.register_artifact_type("text", lambda text, path: None, text_module.load)


def test_bound_method_and_class_of_a_library_are_told_apart(logger):
    with pytest.raises(InvalidArtifactError, match=r"Logger.get_info cannot be imported"):
        logger.register_artifact_type("text", logger.get_info, np.load)
    logger.register_artifact_type("array", np.save, np.load)
    recorded = yaml.safe_load(Path(logger.artifacts_dir, ".keys/custom_types.yaml").read_text(encoding="utf-8"))
    assert recorded["array"]["path"] == str(Path(np.__file__).parents[1])


def test_built_in_type_stays_as_it_is_with_a_warning(logger, text_module):
    with pytest.warns(UserWarning, match="'pickle' is a built-in artifact type and stays as it is"):
        logger.register_artifact_type("pickle", text_module.save, text_module.load)
    logger.log_artifacts({"epoch": 1}, "x", "pickle")
    assert logger.load_artifacts("x") == {"epoch": 1}
    assert not Path(logger.artifacts_dir, ".keys/custom_types.yaml").exists()


def test_class_in_a_module_that_its_package_hides_is_pickled_by_its_name(logger, tmp_path, monkeypatch):
    package = tmp_path / "hiding"
    package.mkdir()
    (package / "__init__.py").write_text("from hiding.inner import Inner\ndel inner\n", encoding="utf-8")
    (package / "inner.py").write_text(
        "import threading\nlock = threading.RLock()\nclass Inner:\n    def held(self): return lock.acquire()\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    import hiding

    double = 2
    logger.log_checkpoint({"inner": hiding.Inner(), "function": lambda x: double * x, "module": sys})
    loaded = logger.load_checkpoint()
    assert type(loaded["inner"]) is hiding.Inner
    assert loaded["function"](3) == 6


def test_only_checkpoint_is_found_without_its_name(logger):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint checkpoint in"):
        logger.load_checkpoint()
    logger.log_checkpoint(1, "last_ckpt")
    assert logger.load_checkpoint() == 1
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint best in .*; there are: last_ckpt"):
        logger.load_checkpoint("best")
    logger.log_checkpoint(2, "epochs/1")
    with pytest.raises(InvalidArtifactError, match=r"there are several .* name one of epochs/1, last_ckpt"):
        logger.load_checkpoint()
    logger.log_checkpoint(3)
    assert logger.load_checkpoint() == 3


def test_only_checkpoint_of_another_run_or_folder_is_found_without_its_name(logger, tmp_path):
    logger.log_artifacts({"epoch": 1}, "last_ckpt.pkl", "pickle")
    with DefaultLogger(tmp_path / "logs") as other:
        assert other.load_checkpoint(root=logger.log_dir) == {"epoch": 1}
        assert other.load_checkpoint(root=os.path.join(logger.artifacts_dir, "pickle")) == {"epoch": 1}


def test_names_of_early_releases_say_what_to_write(logger):
    with pytest.raises(AttributeError, match="no attribute 'log_artifact'; write log_artifacts"):
        logger.log_artifact(1, "x", "pickle")
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'$"):
        _ = logger.nothing
    with pytest.raises(TypeError, match="log_artifacts has no argument artifact_format; write artifact_type="):
        logger.log_artifacts(1, "x", artifact_format="pickle")
    with pytest.raises(TypeError, match="load_artifacts has no argument artifact_format; write artifact_type="):
        logger.load_artifacts("x", artifact_format="pickle")


@pytest.mark.parametrize("second", ["e", "e/f/g"])
def test_folder_of_an_artifact_holds_no_others(logger, text_module, second):
    logger.register_artifact_type("folder", text_module.save_folder, text_module.load_folder)
    logger.log_artifacts("first", "e/f", "folder")
    with pytest.raises(InvalidArtifactError, match="choose another name"):
        logger.log_artifacts("second", second, "folder")
    assert logger.load_artifacts("e/f", "folder") == "first"


def test_full_disk_is_one_clear_error(logger):
    def full(artifact, path):
        Path("/dev/full").write_text("x" * 10_000, encoding="utf-8")

    logger._custom_types["full"] = type(logger._artifact_type("pickle"))(full, full)
    with pytest.raises(LogDirectoryError, match=r"cannot save the artifact a in .*No space left on device"):
        logger.log_artifacts("x", "a", "full")
    assert saved(logger) == []


def test_function_of_the_script_is_recorded_under_the_scripts_name(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import mlxp, sys\n"
        "from mlxp.run_directory.import_paths import import_path, imported\n"
        "def save(x, path): pass\n"
        "assert import_path(save) == 'train:save'\n"
        "assert imported('train:save') is save\n",
        encoding="utf-8",
    )
    subprocess.run([sys.executable, str(script)], check=True)


@pytest.mark.parametrize("path", ["nothing", "os:nothing", "no_such_module:x", "os.nothing"])
def test_import_path_of_nothing_is_an_import_error(path):
    with pytest.raises(ImportError):
        imported(path)
