"""Broken configs, experiment files and weights for `test_bad_inputs`.

Each table goes from a name to the file's bytes, or a maker of it, and to what the
message must say, as a regular expression.
"""

import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np

# Nine lines that stand for 10^9 words: the "billion laughs".
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
DEEP = "[" * 3000 + "]" * 3000

YAML = {  # true of a config and of an experiment file alike
    "an alias bomb": (LAUGHS, "no aliases"),
    "a ring of aliases": ("content: &a [*a]", "no aliases"),
    "a tag that calls Python": ("content: !!python/object/apply:os.getcwd []", "YAML"),
    "a tag that names Python": ("content: !!python/name:os.system", "not YAML"),
    "a private tag": ("content: !secret x", "not YAML"),
    "a tag of bytes": ("size: !!binary aGVsbG8=", "has a tag"),
    "a tag of a set": ("size: !!set {a, b}", "has a tag"),
    "a key twice": ("title: a\ntitle: b", "'title' is given twice"),
    "a key twice deep inside": ("base: {seed: 1, seed: 2}", "'seed' is given twice"),
    "brackets 3000 deep": (f"content: {DEEP}", "not YAML"),
    "mappings 3000 deep": ("{a: " * 3000 + "}" * 3000, "not YAML"),
    "60000 brackets": ("[" * 60_000, "not YAML"),
    "30000 dashes": ("- " * 30_000 + "1", "not YAML"),
    "a list": ("- 1\n- 2", "This is a list"),
    "a number": ("5", "This is a int"),
    "a word": ("hello", "This is a str"),
    "an impossible date": ("content: 2020-13-45", "not YAML"),
    "a bracket left open": ("content: [", "not YAML"),
    "a quote left open": ("content: 'a", "not YAML"),
    "a tab for indentation": ("content: a\n\tstyle: b", "not YAML"),
    "two documents": ("content: a\n---\ncontent: b", "not YAML"),
    "a key that is a list": ("? [1, 2]\n: 3", "not YAML"),
    "a NUL": ("content: a\0b", "not YAML"),
    "a bell": ("content: \a", "not YAML"),
    "bytes that are not UTF-8": (b"content: \xff\xfe\xff", "Cannot read|UTF-8"),
    "UTF-16": ("content: a".encode("utf-16"), "Cannot read|UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "Cannot read|UTF-8"),
    "an unknown key": ("stepz: 3", "Unknown option 'stepz'"),
    "an unknown key of 1000 letters": ("k" * 1000 + ": 3", "Unknown option"),
    "a key that is a number": ("5: 6", "Unknown option '5'"),
    "a key that is nothing": ("~: 6", "Unknown option 'None'"),
    "a number of 5000 digits": ("steps: " + "9" * 5000, "not YAML|Unknown"),
    "a number of 2000 digits": ("size: " + "9" * 2000, "A number of"),
    "a number in base 60, 20000 long": ("size: 1" + ":1" * 20_000, "A number of"),
    "30000 keys": ("".join(f"k{i}: {i}\n" for i in range(30_000)), "Unknown|more than"),
    "three megabytes": ("content: " + "a" * 3_000_000, "more than"),
    "a merge of a word": ("<<: word", "not YAML"),
}
CONFIGS = {
    "a list for a picture": ("content: [a, b]", "content: "),
    "a mapping for a picture": ("style: {a: b}", "style: "),
    "a number for a picture": ("content: 5", "content: "),
    "nothing for a picture": ("content:", "content: "),
    "a picture with a NUL": (r'content: "a\0b.png"', "null|NUL"),
    "a picture of a longer name than files have": (f"content: {'a' * 300}.png", "long"),
    "a list for a number": ("steps: [1]", "steps: "),
    "a mapping for a number": ("size: {a: 1}", "size: "),
    "a date for a number": ("size: 2020-01-02", "size: "),
    "yes for a number": ("size: yes", "size: "),
    "a fraction for a count": ("steps: 1.5", "steps: "),
    "NaN for a weight": ("style_weight: .nan", "style_weight: "),
    "infinity for a weight": ("tv_weight: .inf", "tv_weight: "),
    "minus infinity for a scale": ("style_scale: -.inf", "style_scale: "),
    "1e400 for a weight": ("style_weight: 1.0e+400", "style_weight: "),
    "a negative seed": ("seed: -1", "seed: "),
    "a seed of 2^32": ("seed: 4294967296", "seed: "),
    "a size of 65536": ("size: 65536", "size: "),
    "bits of 12": ("bits: 12", "bits: "),
    "a quality of 101": ("quality: 101", "quality: "),
    "a number for layers": ("style_layers: 5", "style_layers: "),
    "a list of lists for layers": ("style_layers: [[conv1_1]]", "layer"),
    "a list for a layer's weight": ("style_layers: {conv1_1: [1]}", "conv1_1"),
    "a layer that is null": ("content_layers: [null]", "no layer 'None'"),
    "a layer with two weights": ("style_layers: conv1_1:1:2", "style_layers|conv1_1"),
    "no layers at all": ("content_layers: {}\nstyle_layers: {}", "No layers"),
    "a crop that is a list": ("style_crop: [1, 2, 3, 4]", "style_crop: "),
    "a crop of 400 digits": (f"style_crop: '{'9' * 400},0,1,1'", "is not a crop"),
    "an empty crop": ("style_crop: 0,0,0,0", "crop '0,0,0,0' is empty"),
    "scales that shrink": ("scales: [16, 8]", "must grow"),
    "scales that stand": ("scales: [9, 9]", "must grow"),
    "a thousand million scales": ("scales: 1000000000", "scales"),
    "a scale of a word": ("scales: [a]", "scales: "),
    "a style of 1e300 times its size": ("style_scale: 1.0e+300", "style_scale: "),
    "a style of 60000 x 45000": ("style_size: 45000", "style picture would be"),
    "a style of no size": ("style_scale: 1.0e-300\npadding: valid", "style picture is"),
    "a method of a list": ("style_weights: [auto]", "style_weights: "),
    "a method with NaN": ("style_weights: equal-loss:nan", "between 0|not a method"),
    "another network": ("net: squeezenet", "net: "),
    "an output that is a list": ("output: [a.png]", "output: "),
    "an output with a NUL": (r'output: "a\0b.png"', "null|NUL"),
    "an output of a longer name than files have": (f"output: {'a' * 300}.png", "long"),
    "an output that is a folder": ("output: folder.png", "is a folder"),
    "an output of no type": ("output: result", "no suffix"),
    "an output below a file": ("output: words.txt/a.png", "not a folder"),
    "a JPEG of 16 bits": ("output: a.jpg\nbits: 16", "not 16"),
    "a run's folder with a NUL": (r'logdir: "a\0b"', "null|NUL"),
    "a run's folder of a longer name than files have": (f"logdir: {'a' * 300}", "long"),
    "a run's folder below a file": ("logdir: words.txt/a", "words.txt"),
    "a run's folder in a device": ("logdir: /dev/null/a", "/dev/null"),
    "weights that are a folder": ("weights: folder.png", "folder"),
    "weights that are a pipe": ("weights: pipe", "regular"),
    "weights that are a device": ("weights: /dev/zero", "regular"),
    "weights with a NUL": (r'weights: "a\0b"', "null"),
    "weights that are a loop of links": ("weights: loop", "symbolic"),
    "an init that is a pipe": ("init: pipe", "regular"),
    "an init that is a folder": ("init: folder.png", "folder"),
}
EXPERIMENTS = {
    "a list for a title": ("title: [a]", "title: "),
    "a list for axes": ("axes: [a]", "axes: "),
    "a word for axes": ("axes: pool", "axes: "),
    "an empty axis": ("axes: {pool: []}", "'pool' has no values"),
    "an axis that is no option": ("axes: {poool: [avg]}", "Did you mean 'pool'"),
    "an axis of another type": ("axes: {steps: [many]}", "steps: "),
    "an axis of lists": ("axes: {steps: [[1, 2]]}", "steps: "),
    "an axis with a value twice": ("axes: {steps: [1, 1]}", "twice"),
    "an axis with a reserved name": ("axes: {trial: {a: {steps: 1}}}", "is reserved"),
    "axes and trials": ("axes: {steps: [1]}\ntrials: [{steps: 2}]", "not both"),
    "trials of words": ("trials: [a, b]", "trials"),
    "no trials": ("trials: []", "the list is empty"),
    "two trials of one name": ("trials: [{name: a}, {name: A}]", "Two trials"),
    "a trial with a path for a name": ("trials: [{name: ../../out, x: 1}]", "'x'"),
    "a name of 200 letters": (f"trials: [{{name: {'n' * 200}}}]", "longer than"),
    "an unknown option in the base": ("base: {stepz: 1}", "Did you mean 'steps'"),
    "an unknown option in a part": ("parts: {a: {stepz: 1}}", "Did you mean 'steps'"),
    "an unknown option in quick": ("quick: {stepz: 1}", "Did you mean 'steps'"),
    "a part that is a list": ("parts: {a: [1]}", "parts"),
    "a part of another kind": ("parts: {a: {kind: film}}", "parts"),
    "another mode": ("mode: random", "mode: "),
    "a base that is missing": ("base_config: nowhere.yaml", "nowhere.yaml"),
    "a base that is a pipe": ("base_config: pipe", "regular"),
    "a base that is a device": ("base_config: /dev/zero", "regular"),
    "a base that is a picture": ("base_config: words.txt", "words.txt"),
    "a picture that is missing": ("base: {content: nowhere.png}", "nowhere.png"),
    "an output in the base": ("base: {output: a.png}", "output: "),
    "a finding without a rule": ("findings: [{claim: a}]", "one quantity"),
    "a finding of a word": ("findings: [a]", "findings"),
    "a rule that runs code": (
        "findings: [{claim: a, ratio: {value: loss, of: {}, to: {}}, "
        "confirmed: '__import__(\"os\")'}]",
        "is no rule",
    ),
    "a rule of a list": (
        "findings: [{claim: a, ratio: {value: loss, of: {}, to: {}}, confirmed: [1]}]",
        "is no rule",
    ),
    "a value that is a list": (
        "findings: [{claim: a, ratio: {value: [a], of: {}, to: {}}, confirmed: '> 1'}]",
        "Unknown value",
    ),
    "ten million trials": (
        "axes: {"
        + ", ".join(
            f"{axis}: {list(range(1, 11))}"
            for axis in (
                *("steps", "scale_steps", "seed", "report_every", "snapshot_every"),
                *("style_weight", "content_weight"),
            )
        )
        + "}",
        "trials",
    ),
}


# ------------------------------------------------------------------------- weights


def vgg(**changes):
    """The arrays of a file that is whole, conv1_1 alone, with `changes` by key."""
    arrays = {
        "conv1_1/kernel": np.zeros((3, 3, 3, 64), "f4"),
        "conv1_1/bias": np.zeros(64, "f4"),
    }
    return arrays | {key.replace("__", "/"): value for key, value in changes.items()}


def npz(arrays, **options):
    file = io.BytesIO()
    np.savez(file, **arrays, **options)
    return file.getvalue()


class Trap:
    """What makes a folder `trapped` when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("trapped",)


def members(*pairs, compression=zipfile.ZIP_STORED):
    """A zip of (name, bytes) pairs."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in pairs:
            archive.writestr(name, data)
    return file.getvalue()


def npy_header(shape, dtype="<f4", size=None):
    """The head of a .npy that declares `shape`, with no data."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", size or len(text)) + text


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape, start=0, end=0, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


KERNEL = "conv1_1/kernel"
WHOLE = npz(vgg())
BOMB = b"\0" * 50_000_000
WEIGHTS = {  # file name: bytes, what the message must say
    "empty.npz": (b"", "not a weights file"),
    "words.npz": (b"no weights, only words", "not a weights file"),
    "page.npz": (b"<html>404</html>", "not a weights file"),
    "half.npz": (WHOLE[: len(WHOLE) // 2], "cannot be read"),
    "head.npz": (WHOLE[:40], "cannot be read"),
    "tail.npz": (WHOLE[:-30], "cannot be read"),
    "flipped.npz": (WHOLE[:3000] + b"\x07" + WHOLE[3001:], "cannot be read"),
    "no_members.npz": (members(), "needed"),
    "other_names.npz": (npz({"a": np.zeros(3)}), "needed"),
    "no_bias.npz": (npz({KERNEL: vgg()[KERNEL]}), "conv1_1/bias is missing"),
    "wrong_shape.npz": (npz(vgg(conv1_1__bias=np.zeros(63, "f4"))), "shape"),
    "turned.npz": (npz(vgg(conv1_1__kernel=np.zeros((64, 3, 3, 3), "f4"))), "shape"),
    "whole_numbers.npz": (npz(vgg(conv1_1__bias=np.zeros(64, "i4"))), "type"),
    "words_inside.npz": (npz(vgg(conv1_1__bias=np.array(["a"] * 64))), "type"),
    "nan.npz": (npz(vgg(conv1_1__bias=np.full(64, np.nan))), "not finite"),
    "infinite.npz": (npz(vgg(conv1_1__bias=np.full(64, np.inf))), "not finite"),
    "too_large.npz": (npz(vgg(conv1_1__bias=np.full(64, 1e300))), "not finite"),
    "objects.npz": (
        npz(vgg(conv1_1__bias=np.array([Trap()] * 64)), allow_pickle=True),
        "type object|cannot be read",
    ),
    "pickle.npz": (pickle.dumps(Trap()), "Python pickle"),
    "pickle.pkl": (pickle.dumps(Trap(), 0), "Python pickle"),
    "torch.pth": (members(("archive/data.pkl", pickle.dumps(Trap()))), "Python pickle"),
    "torch.npz": (members(("archive/data.pkl", pickle.dumps(Trap()))), "Python pickle"),
    "pickled_member.npz": (
        members((f"{KERNEL}.npy", pickle.dumps(Trap()))),
        "cannot be read",
    ),
    "climbing.npz": (
        members(("../../trapped.npy", b"x"), ("/tmp/trapped.npy", b"x")),
        "needed",
    ),
    "claims_much.npz": (
        members((f"{KERNEL}.npy", npy_header((3, 3, 3, 2**40)))),
        "shape",
    ),
    "claims_negative.npz": (
        members((f"{KERNEL}.npy", npy_header((-1, 3, 3, 64)))),
        "shape|cannot be read",
    ),
    "no_data.npz": (
        members(
            (f"{KERNEL}.npy", npy_header((3, 3, 3, 64))),
            ("conv1_1/bias.npy", npy_header((64,))),
        ),
        "cannot be read",
    ),
    "header_of_code.npz": (
        members((f"{KERNEL}.npy", npy_header("__import__('os').mkdir('trapped')"))),
        "cannot be read",
    ),
    "header_bomb.npz": (
        members(
            (f"{KERNEL}.npy", npy_header("(" * 5000, size=60_000)),
        ),
        "cannot be read",
    ),
    "version_9.npz": (members((f"{KERNEL}.npy", b"\x93NUMPY\x09\x00")), "cannot be"),
    "zip_bomb.npz": (
        members((f"{KERNEL}.npy", BOMB), compression=zipfile.ZIP_DEFLATED),
        "cannot be read",
    ),
    "bomb_beside.npz": (
        members(("other.npy", BOMB), compression=zipfile.ZIP_DEFLATED),
        "needed",
    ),
    "half.h5": (b"\x89HDF\r\n\x1a\n" + bytes(200), "cannot be read"),
    "signature.h5": (b"\x89HDF\r\n\x1a\n", "cannot be read"),
    "short.safetensors": (b"\x08", "cannot be read"),
    "claims_much.safetensors": (safetensors({}, length=2**60), "cannot be read"),
    "words.safetensors": (safetensors(b"not json"), "cannot be read"),
    "list.safetensors": (safetensors([1, 2]), "cannot be read"),
    "deep.safetensors": (safetensors(b"[" * 100_000), "cannot be read"),
    "nothing.safetensors": (safetensors({}), "needed"),
    "no_type.safetensors": (safetensors({"conv1_1.kernel": {}}), "cannot be read"),
    "odd_type.safetensors": (
        safetensors({"conv1_1.kernel": tensor([3, 3, 3, 64], dtype="BF16")}),
        "type object",
    ),
    "shape_of_words.safetensors": (
        safetensors({"conv1_1.kernel": tensor("abc")}),
        "shape",
    ),
    "far_offset.safetensors": (
        safetensors({"conv1_1.kernel": tensor([3, 3, 3, 64], 2**62, 2**62)}),
        "cannot be read",
    ),
    "before_the_file.safetensors": (
        safetensors({"conv1_1.kernel": tensor([3, 3, 3, 64], -(2**40), 5)}),
        "cannot be read",
    ),
}
