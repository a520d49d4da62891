"""A plain PyTorch loop with kstyle's network, weights and losses, to compare with.

As neural-style-pt and the PyTorch tutorial do it: `torch.optim.LBFGS` without a line
search on the pixels in 0..255, one evaluation a step, channels last; on a GPU if torch
sees one.
"""

import time

import numpy as np
import torch
import torch.nn.functional as F

from kstyle.losses.style import STYLE_FACTOR
from kstyle.networks.extractor import MEAN_RGB
from kstyle.networks.vgg import trunk

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PAD_MODES = {"replicate": "replicate", "reflect": "reflect", "same": "constant"}


def run(job, every):
    """`(seconds since the start, picture)` every few steps, at one scale."""
    begun, config, kept = time.perf_counter(), job.config, []
    network = Network(job)
    content, style = (job.content_at(config.size), job.style_at(config.size))
    targets = network.targets(tensor(content), tensor(style))
    image = tensor(content).requires_grad_()
    optimizer = torch.optim.LBFGS([image], max_iter=1, history_size=10)

    def closure():
        optimizer.zero_grad()
        loss = network.loss(image, targets)
        loss.backward()
        return loss

    for step in range(1, config.steps + 1):
        optimizer.step(closure)
        with torch.no_grad():
            image.clamp_(0, 255)
        if step % every == 0:
            picture = image.detach().cpu().numpy()[0].transpose(1, 2, 0) / 255
            kept.append((time.perf_counter() - begun, np.array(picture)))
    return kept


def tensor(picture):
    """`(height, width, 3)` in [0, 1] as `(1, 3, height, width)` in 0..255."""
    values = np.ascontiguousarray(255 * picture.transpose(2, 0, 1)[None], "float32")
    return torch.from_numpy(values).to(DEVICE)


class Network:
    """VGG with the job's weights, and the job's losses."""

    def __init__(self, job):
        self.config = job.config
        self.names = trunk(self.config.net, self.config.layers())
        self.mean = torch.tensor(MEAN_RGB[::-1]).view(1, 3, 1, 1).to(DEVICE)
        self.layers = {}
        for name, (kernel, bias) in job.weights.layers.items():
            kernel = np.ascontiguousarray(np.transpose(kernel, (3, 2, 0, 1)))
            weight = torch.from_numpy(kernel.astype("float32")).to(DEVICE)
            weight = weight.to(memory_format=torch.channels_last)
            bias = torch.from_numpy(np.array(bias, "float32")).to(DEVICE)
            self.layers[name] = weight, bias

    def features(self, image):
        """`{layer: (1, C, H, W)}` of the layers that have a loss."""
        x, found = image.flip(1) - self.mean, {}
        x = x.to(memory_format=torch.channels_last)
        pool = {"avg": F.avg_pool2d, "max": F.max_pool2d}[self.config.pool]
        for name in self.names:
            if name.startswith("pool"):
                x = pool(x, 2)
            else:
                if self.config.padding != "valid":
                    x = F.pad(x, (1, 1, 1, 1), mode=PAD_MODES[self.config.padding])
                x = F.relu(F.conv2d(x, *self.layers[name]))
            if name in self.config.layers():
                found[name] = x
        return found

    @torch.no_grad()
    def targets(self, content, style):
        """The content's features and the style's Gram matrices, by layer."""
        content, style = self.features(content), self.features(style)
        return (
            {name: content[name] for name in self.config.content_layers},
            {name: gram(style[name]) for name in self.config.style_layers},
        )

    def loss(self, image, targets):
        """The weighted sum of content, style and total variation."""
        config, features = self.config, self.features(image)
        content, style = targets
        loss = config.tv_weight * (
            half_mean_square(image[:, :, 1:] - image[:, :, :-1])
            + half_mean_square(image[..., 1:] - image[..., :-1])
        )
        for name, weight in config.content_layers.items():
            error = half_mean_square(features[name] - content[name])
            loss = loss + config.content_weight * weight * error
        for name, weight in config.style_layers.items():
            error = half_mean_square(gram(features[name]) - style[name])
            loss = loss + config.style_weight * weight * STYLE_FACTOR * error
        return loss


def gram(features):
    """The `(C, C)` Gram matrix of `(1, C, H, W)` features, over H W."""
    flat = features[0].permute(1, 2, 0).reshape(-1, features.shape[1])
    return flat.T @ flat / len(flat)


def half_mean_square(values):
    return values.square().mean() / 2
