"""Nothing of a stranger is ever unpickled: weights are safetensors, and torch loads tensors alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("platform", "serve_apps", "train_jobs") for path in (ROOT / folder).rglob("*.py"))
# Modules whose loading runs code that the file names; errors of theirs may be caught.
UNPICKLERS = frozenset({"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"})
LOADERS = frozenset({"load", "loads", "Unpickler", "open"})
CODE = frozenset({"eval", "exec", "compile", "__import__"})
WITHOUT_WEIGHTS = ("Config", "processor_class", "Tokenizer")  # what has a `from_pretrained` that loads none
FLAG = {"torch.load": "weights_only", "torch.hub.load_state_dict_from_url": "weights_only"}


def dotted(node: ast.expr) -> str:
    """`torch.load` of the call's function; what is no name is a question mark."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"


def forbidden(source: str) -> Iterator[str]:
    """Line and name of each call and import that could run a file's code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in UNPICKLERS:
            for name in (alias.name for alias in node.names if alias.name in LOADERS):
                yield f"{node.lineno} {node.module}.{name}"
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        module, _, last = name.rpartition(".")
        keywords = {word.arg: word.value for word in node.keywords}
        if (module in UNPICKLERS and last in LOADERS) or name in CODE:
            yield f"{node.lineno} {name}"
        elif name in FLAG:
            flag = keywords.get(FLAG[name])
            if not (isinstance(flag, ast.Constant) and flag.value is True):
                yield f"{node.lineno} {name} without {FLAG[name]}=True"
        elif last in ("load", "from_file") and module in ("np", "numpy"):
            flag = keywords.get("allow_pickle")
            if flag is not None and not (isinstance(flag, ast.Constant) and flag.value is False):
                yield f"{node.lineno} {name} with allow_pickle"
        elif name in ("yaml.unsafe_load", "yaml.full_load", "torch.jit.load"):
            yield f"{node.lineno} {name}"
        elif last == "from_pretrained" and not module.endswith(WITHOUT_WEIGHTS):
            flag = keywords.get("use_safetensors")
            if not (isinstance(flag, ast.Constant) and flag.value is True):
                yield f"{node.lineno} {name} without use_safetensors=True"


def test_no_file_is_run() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}" for path in SOURCES for line in forbidden(path.read_text())]
    assert found == []
    assert len(SOURCES) > 300, "the sources are elsewhere"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.loads(b'')",
        "from pickle import load",
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "import torch\ntorch.load('x', weights_only=flag)",
        "eval('1')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import joblib\njoblib.load('x')",
        "Model.from_pretrained('x', use_safetensors=False)",
        "Model.from_pretrained('x', **options)",
    ],
)
def test_the_test_finds_it(source: str) -> None:
    assert list(forbidden(source))


def test_what_is_allowed_is_not_found() -> None:
    source = "import torch\nfrom pickle import UnpicklingError\ntorch.load('x', weights_only=True)\nmodel.eval()"
    assert list(forbidden(source)) == []
