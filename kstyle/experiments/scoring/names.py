"""The names of the scores, each with what it is; light, for checks before a run."""

JUDGE_STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
JUDGE_CONTENT_LAYER = "conv4_2"
NEAR_FACTOR = 1.1  # times the final loss counts as being there
# Every score in words: what it is, its unit, and what more of it means.
TO_PAINTING = "relative; 0 = its manner, higher = further from it"
SCORES = {
    "style_distance": f"mean Gram distance to the painting ({TO_PAINTING})",
    **{
        f"style_distance/{k}": f"Gram distance to the painting at {k} ({TO_PAINTING})"
        for k in JUDGE_STYLE_LAYERS
    },
    "content_distance": f"feature distance to the photograph at {JUDGE_CONTENT_LAYER} "
    "(relative; 0 = the same, higher = less of it is left)",
    "tv_energy": "total variation, unweighted (grey levels²; higher = rougher)",
    "roughness": "mean step between neighbours (grey levels; higher = rougher)",
    "high_frequency": "energy of waves below 4 px (relative to the photograph; "
    "1 = as much, higher = more grain)",
    "colour_shift": "distance of its mean colour from the photograph's (CIELAB units; "
    "0 = none, higher = further)",
    "chroma": "mean chroma (relative to the photograph; 1 = as much, higher = more)",
    "stroke_scale": "half the mean wavelength of all but shapes (px; higher = larger)",
    "steps_to_near": f"steps to stay below {NEAR_FACTOR} x the last loss (higher = "
    "slower)",
    "seconds_to_near": f"seconds to stay below {NEAR_FACTOR} x the last loss "
    "(higher = slower)",
}
