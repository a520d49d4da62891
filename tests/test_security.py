"""SECURITY.md's promises about the code, checked in the code itself."""

import ast
from pathlib import Path

import kstyle

FOLDER = Path(kstyle.__file__).parent
TREES = {path: ast.parse(path.read_text("utf-8")) for path in FOLDER.rglob("*.py")}

# They execute what they read, unpack archives, listen, or run other programs.
UNWANTED = set(
    "pickle shelve marshal dill cloudpickle joblib torch "
    "tarfile socketserver http.server asyncio ctypes code runpy".split()
)
NETWORK = {"http", "urllib", "requests", "ssl", "ftplib", "socket"}


def imports(tree):
    """The dotted names of the modules that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls(tree):
    """`(what is called, as text; its keywords as text)` of every call in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), [ast.unparse(k) for k in node.keywords]


def test_no_module_can_unpickle_unpack_or_listen():
    for path, tree in TREES.items():
        assert not UNWANTED & set(imports(tree)), path
    assert len(TREES) > 60


def test_only_weights_ray_and_the_app_use_the_network():
    users = {
        path.parent.name
        for path, tree in TREES.items()
        if NETWORK
        & {
            name.split(".")[0]
            for name in imports(tree)
            if not name.startswith("urllib.parse")  # it only splits and joins text
        }
    }
    assert users <= {"networks", "execution", "app"}
    names = {name for tree in TREES.values() for name, _ in calls(tree)}
    assert not {name for name in names if name.endswith((".bind", ".listen"))}


def test_arrays_load_without_pickle_and_nothing_is_evaluated():
    loads = 0
    for path, tree in TREES.items():
        for name, keywords in calls(tree):
            last = name.split(".")[-1]
            assert name not in ("eval", "exec", "compile", "__import__"), path
            assert last not in ("extractall", "unpack_archive"), (path, name)
            if last == "load_model":  # without the code that a file may contain
                assert "safe_mode=True" in keywords, path
            assert last not in ("unsafe_load", "full_load", "system"), (path, name)
            if name == "np.load":
                loads += 1
                assert "allow_pickle=False" in keywords, path
    assert loads == 1  # of weights, checkpoints and scores, in npz.py


def test_only_the_strict_loader_reads_yaml():
    found = [
        (path.stem, ast.unparse(node))
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and "load" in ast.unparse(node.func)
        if ast.unparse(node.func).startswith("yaml.")
    ]
    assert found == [("strict_yaml", "yaml.load(text, StrictLoader)")]
