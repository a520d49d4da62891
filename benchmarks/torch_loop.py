"""A plain PyTorch loop with kstyle's network, weights and losses, to compare with.

    python benchmarks/torch_loop.py PROBLEM.npz [--steps 30] [--every 10] [--out FILE]

Written as neural-style-pt and the PyTorch tutorial are: `torch.optim.LBFGS` without a
line search on the pixels in 0..255, one evaluation a step, channels last; on a GPU if
torch sees one. It imports neither kstyle nor TensorFlow: PyTorch 2.14 crashes in a
process that has TensorFlow in it. `common.write_problem` writes PROBLEM.npz, with the
pictures, the weights and the options. FILE (an .npz) gets the pictures, one every
`--every` steps, and the seconds since the start of the loop; the last line printed is a
JSON object with the device.
"""

import argparse
import json
import time

import numpy as np
import torch
import torch.nn.functional as F

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PAD_MODES = {"replicate": "replicate", "reflect": "reflect", "same": "constant"}


class Problem:
    """The pictures, the network and the loss that PROBLEM.npz describes."""

    def __init__(self, path):
        with np.load(path) as file:
            arrays = dict(file)
        options = json.loads(str(arrays.pop("options")))
        self.options = options
        self.content, self.style = (tensor(arrays[k]) for k in ("content", "style"))
        self.mean = torch.tensor(options["mean_rgb"][::-1]).view(1, 3, 1, 1).to(DEVICE)
        self.weights = {}
        for name, kind in options["layers"]:
            if kind == "conv":
                kernel = np.transpose(arrays[f"{name}/kernel"], (3, 2, 0, 1))
                weight = torch.from_numpy(np.ascontiguousarray(kernel)).to(DEVICE)
                weight = weight.to(memory_format=torch.channels_last)
                bias = torch.from_numpy(arrays[f"{name}/bias"]).to(DEVICE)
                self.weights[name] = weight, bias
        with torch.no_grad():
            content, style = self.features(self.content), self.features(self.style)
        self.content_targets = {k: content[k] for k in options["content_weights"]}
        self.style_targets = {k: gram(style[k]) for k in options["style_weights"]}

    def features(self, image):
        """Return `{layer: (1, C, H, W)}` of the layers with a loss."""
        options, found = self.options, {}
        wanted = {*options["content_weights"], *options["style_weights"]}
        pool = {"avg": F.avg_pool2d, "max": F.max_pool2d}[options["pool"]]
        x = (image.flip(1) - self.mean).to(memory_format=torch.channels_last)
        for name, kind in options["layers"]:
            if kind == "conv":
                if options["padding"] != "valid":
                    x = F.pad(x, (1, 1, 1, 1), mode=PAD_MODES[options["padding"]])
                x = F.relu(F.conv2d(x, *self.weights[name]))
            else:
                x = pool(x, 2)
            if name in wanted:
                found[name] = x
        return found

    def loss(self, image):
        """Return the weighted sum of content, style and total variation."""
        options, features = self.options, self.features(image)
        down, across = (
            image[:, :, 1:] - image[:, :, :-1],
            image[..., 1:] - image[..., :-1],
        )
        loss = options["tv_weight"] * smoothness(down, across, options["tv_threshold"])
        for name, weight in options["content_weights"].items():
            error = half_mean_square(features[name] - self.content_targets[name])
            loss = loss + weight * error
        for name, weight in options["style_weights"].items():
            error = half_mean_square(gram(features[name]) - self.style_targets[name])
            loss = loss + options["style_factor"] * weight * error
        return loss


def tensor(picture):
    """Return `(height, width, 3)` in [0, 1] as `(1, 3, height, width)` in 0..255."""
    values = np.ascontiguousarray(255 * picture.transpose(2, 0, 1)[None], "float32")
    return torch.from_numpy(values).to(DEVICE)


def gram(features):
    """Return the `(C, C)` Gram matrix of `(1, C, H, W)` features, over H W."""
    flat = features[0].permute(1, 2, 0).reshape(-1, features.shape[1])
    return flat.T @ flat / len(flat)


def half_mean_square(values):
    return values.square().mean() / 2


def smoothness(down, across, threshold):
    """Return the total variation of kstyle, squared or with Charbonnier's threshold."""
    if threshold is None:
        return half_mean_square(down) + half_mean_square(across)
    squares = F.pad(down, (0, 0, 0, 1)).square() + F.pad(across, (0, 1)).square()
    return threshold**2 * ((1 + squares / threshold**2).sqrt() - 1).mean()


def optimize(path, steps, every):
    """Return `[(seconds since the start, picture)]`, one every `every` steps."""
    begun, kept = time.perf_counter(), []
    problem = Problem(path)
    image = problem.content.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([image], max_iter=1, history_size=10)

    def closure():
        optimizer.zero_grad()
        loss = problem.loss(image)
        loss.backward()
        return loss

    for step in range(1, steps + 1):
        optimizer.step(closure)
        with torch.no_grad():
            image.clamp_(0, 255)
        if step % every == 0:
            picture = image.detach().cpu().numpy()[0].transpose(1, 2, 0) / 255
            kept.append((time.perf_counter() - begun, np.array(picture)))
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problem", help="a file of common.write_problem")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--every", type=int, default=10, help="steps between pictures")
    parser.add_argument("--out", help="where the pictures and seconds go")
    options = parser.parse_args()
    kept = optimize(options.problem, options.steps, options.every)
    if options.out:
        seconds = [second for second, _ in kept]
        np.savez(options.out, seconds=seconds, pictures=[each for _, each in kept])
    print(json.dumps({"device": DEVICE, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
