"""The names of the scores with their meaning; no imports, for checks before a run."""

JUDGE_STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
JUDGE_CONTENT_LAYER = "conv4_2"
NEAR_FACTOR = 1.1  # a loss below this multiple of its last value is near it
FALL_SHARE = 0.9  # of the fall from the first loss of a run to its last

DISTANCE_UNIT = "relative; 0 = equal, higher = less similar"
# Nouns for sentences, where the name with spaces is none; a layer is added to them.
SCORE_NOUNS = {
    "style_distance": "style distance to the painting",
    "content_distance": "content distance to the photograph",
    "lpips": "LPIPS by AlexNet to the photograph",
    "lpips_vgg": "LPIPS by VGG16 to the photograph",
    "dists_content": "DISTS to the photograph",
    "dists_style": "DISTS to the painting",
    "sifid": "Fréchet distance to the painting",
    "ssim": "structural similarity to the photograph",
    "tv_energy": "total variation",
    "high_frequency": "high-frequency energy",
    "colour_shift": "shift of the mean colour",
    "steps_to_fall": "number of steps to 90 % of the run's own fall of the loss",
    "steps_to_near": "number of steps to near the run's own final loss",
    "seconds_to_near": "number of seconds to near the run's own final loss",
}
# Every score: what it measures, its unit, and what a higher value means.
SCORES = {
    "style_distance": "squared distance of the Gram matrices to those of the style "
    f"picture, mean over the layers ({DISTANCE_UNIT})",
    **{
        f"style_distance/{layer}": "squared distance of the Gram matrix to that of the "
        f"style picture at {layer} ({DISTANCE_UNIT})"
        for layer in JUDGE_STYLE_LAYERS
    },
    "content_distance": "squared distance of the features to those of the content "
    f"picture at {JUDGE_CONTENT_LAYER} ({DISTANCE_UNIT})",
    "lpips": "LPIPS by AlexNet, to the content picture (0 = equal, higher = less "
    "similar)",
    "lpips_vgg": "LPIPS by VGG16, to the content picture (0 = equal, higher = less "
    "similar)",
    "dists_content": "DISTS, structure and texture, to the content picture (0 = equal, "
    "higher = less similar)",
    "dists_style": "DISTS, structure and texture, to the middle of the style picture "
    "(0 = equal, higher = less similar)",
    "sifid": "Fréchet distance of VGG16's features at conv2_2 to those of the style "
    "picture (squared; 0 = equal, higher = less similar)",
    "ssim": "structural similarity of the luma to that of the content picture (1 = "
    "equal, higher = more similar)",
    "tv_energy": "total variation, unweighted (grey levels²; higher = rougher)",
    "roughness": "mean absolute difference of neighbouring pixels (grey levels; "
    "higher = rougher)",
    "high_frequency": "energy of wavelengths below 4 px (relative to the content "
    "picture; 1 = equal, higher = more fine detail and noise)",
    "colour_shift": "distance of the mean colour to that of the content picture "
    "(CIELAB units; 0 = equal, higher = more different)",
    "chroma": "mean chroma (relative to the content picture; 1 = equal, higher = more "
    "saturated)",
    "stroke_scale": "half the mean wavelength, without waves as long as whole shapes "
    "(px; higher = larger strokes)",
    "stroke_length": "distance over which the direction of lines persists, whatever "
    "fine pattern is over the strokes (px; higher = larger strokes)",
    "steps_to_fall": f"when {FALL_SHARE:.0%} of the run's own fall of the loss is done "
    "(steps; higher = slower)",
    "steps_to_near": f"when the loss stays below {NEAR_FACTOR} x its last value "
    "(steps; higher = slower)",
    "seconds_to_near": f"when the loss stays below {NEAR_FACTOR} x its last value "
    "(seconds; higher = slower)",
}
