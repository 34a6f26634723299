"""Nothing that is read is run: no call in our packages makes code of data."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("nowcast", "mim_core", "config", "stations")
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {"eval", "exec", "compile", "__import__", "extractall", "unsafe_load", "full_load"}
# Where it is allowed, and why.
ALLOWED = {
    # For the name of the error that torch.load(weights_only=True) raises.
    ("mim_core/convert.py", "pickle"),
}


def findings(source: str) -> list[str]:
    """What a module does that makes code of data."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            found += _of_call(node)
    return found


def _of_call(node: ast.Call) -> list[str]:
    called = ast.unparse(node.func)
    owner, _, last = called.rpartition(".")
    options = {word.arg: ast.unparse(word.value) for word in node.keywords}
    found = []
    # re.compile and others of that name are methods; the built-in stands alone.
    if last in CALLS and (not owner or last in {"extractall", "unsafe_load", "full_load"}):
        found.append(last)
    if called == "yaml.load":
        found.append(called)
    if called == "torch.load" and options.get("weights_only") != "True":
        found.append("torch.load without weights_only=True")
    for name in ("allow_pickle", "shell"):
        if options.get(name, "False") != "False":
            found.append(f"{name}={options[name]}")
    if called in {"os.system", "os.popen", "subprocess.getoutput"}:
        found.append(called)
    return found


def test_no_module_makes_code_of_data() -> None:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(paths) > 150
    found = {
        (str(path.relative_to(ROOT)), what)
        for path in paths
        for what in findings(path.read_text(encoding="utf-8"))
    }
    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "yaml.load(text)",
        "eval(text)",
        "exec(text)",
        "subprocess.run(command, shell=True)",
        "os.system(command)",
        "tarfile.open(path).extractall()",
        "zipfile.ZipFile(path).extractall(folder)",
        "__import__(name)",
    ],
)
def test_each_of_them_would_be_found(source: str) -> None:
    assert findings(source)


@pytest.mark.parametrize(
    "source",
    [
        "import pickletools",
        "re.compile(text)",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=False)",
        "yaml.safe_load(text)",
        "model.eval()",
        "subprocess.run([command])",
    ],
)
def test_what_is_harmless_passes(source: str) -> None:
    assert not findings(source)
