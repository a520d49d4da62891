"""The networks of keras.applications by name: input, weights and layers.

A table, so that names and files are known without TensorFlow.
"""

import dataclasses
import re

from kstyle.networks.preprocessing import TF_LEVELS, TORCH_LEVELS

STORAGE_URL = "https://storage.googleapis.com/tensorflow/keras-applications"
# The first version of EfficientNet is kept elsewhere.
EFFICIENTNET_URL = "https://storage.googleapis.com/keras-applications"
NOTOP = "_weights_tf_dim_ordering_tf_kernels_notop.h5"


@dataclasses.dataclass(frozen=True)
class Application:
    """One network of keras.applications.

    name: kstyle's. function: Keras's, in `keras.applications`. preprocess: what its
        input is, as `ModelInput` has it. grey_levels: how many levels of 0..255 a unit
        of its first convolution's input is, which brings the losses to their usual
        scale. file: of the weights without the classifier. url: of the file. checksum:
        "md5:…" or "sha256:…" as Keras publishes it; `None`: it does not.
    """

    name: str
    function: str
    preprocess: str
    grey_levels: float
    file: str
    url: str
    checksum: str | None


def row(
    name: str,
    function: str,
    preprocess: str,
    grey_levels: float,
    url: str,
    checksum: str | None,
) -> Application:
    """Make a row of the table. url: below `STORAGE_URL`, or whole."""
    whole = url if url.startswith("https:") else f"{STORAGE_URL}/{url}"
    file = url.rpartition("/")[2]
    return Application(name, function, preprocess, grey_levels, file, whole, checksum)


APPLICATIONS = {
    app.name: app
    for app in (
        row(
            "convnext_base",
            "ConvNeXtBase",
            "none",
            TORCH_LEVELS,
            "convnext/convnext_base_notop.h5",
            "sha256:40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
        ),
        row(
            "convnext_large",
            "ConvNeXtLarge",
            "none",
            TORCH_LEVELS,
            "convnext/convnext_large_notop.h5",
            "sha256:96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
        ),
        row(
            "convnext_small",
            "ConvNeXtSmall",
            "none",
            TORCH_LEVELS,
            "convnext/convnext_small_notop.h5",
            "sha256:6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
        ),
        row(
            "convnext_tiny",
            "ConvNeXtTiny",
            "none",
            TORCH_LEVELS,
            "convnext/convnext_tiny_notop.h5",
            "sha256:d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
        row(
            "convnext_xlarge",
            "ConvNeXtXLarge",
            "none",
            TORCH_LEVELS,
            "convnext/convnext_xlarge_notop.h5",
            "sha256:de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
        ),
        row(
            "densenet121",
            "DenseNet121",
            "torch",
            TORCH_LEVELS,
            f"densenet/densenet121{NOTOP}",
            "md5:30ee3e1110167f948a6b9946edeeb738",
        ),
        row(
            "densenet169",
            "DenseNet169",
            "torch",
            TORCH_LEVELS,
            f"densenet/densenet169{NOTOP}",
            "md5:b8c4d4c20dd625c148057b9ff1c1176b",
        ),
        row(
            "densenet201",
            "DenseNet201",
            "torch",
            TORCH_LEVELS,
            f"densenet/densenet201{NOTOP}",
            "md5:c13680b51ded0fb44dff2d8f86ac8bb1",
        ),
        row(
            "efficientnet_b0",
            "EfficientNetB0",
            "none",
            TORCH_LEVELS,
            f"{EFFICIENTNET_URL}/efficientnetb0_notop.h5",
            "md5:50bc09e76180e00e4465e1a485ddc09d",
        ),
        row(
            "efficientnet_b1",
            "EfficientNetB1",
            "none",
            TORCH_LEVELS,
            f"{EFFICIENTNET_URL}/efficientnetb1_notop.h5",
            "md5:74c4e6b3e1f6a1eea24c589628592432",
        ),
        row(
            "efficientnet_b2",
            "EfficientNetB2",
            "none",
            TORCH_LEVELS,
            f"{EFFICIENTNET_URL}/efficientnetb2_notop.h5",
            "md5:111f8e2ac8aa800a7a99e3239f7bfb39",
        ),
        row(
            "efficientnet_b3",
            "EfficientNetB3",
            "none",
            TORCH_LEVELS,
            f"{EFFICIENTNET_URL}/efficientnetb3_notop.h5",
            "md5:af6d107764bb5b1abb91932881670226",
        ),
        row(
            "efficientnet_b4",
            "EfficientNetB4",
            "none",
            TORCH_LEVELS,
            f"{EFFICIENTNET_URL}/efficientnetb4_notop.h5",
            "md5:ebc24e6d6c33eaebbd558eafbeedf1ba",
        ),
        row(
            "efficientnet_b5",
            "EfficientNetB5",
            "none",
            TORCH_LEVELS,
            f"{EFFICIENTNET_URL}/efficientnetb5_notop.h5",
            "md5:38879255a25d3c92d5e44e04ae6cec6f",
        ),
        row(
            "efficientnet_b6",
            "EfficientNetB6",
            "none",
            TORCH_LEVELS,
            f"{EFFICIENTNET_URL}/efficientnetb6_notop.h5",
            "md5:9ecce42647a20130c1f39a5d4cb75743",
        ),
        row(
            "efficientnet_b7",
            "EfficientNetB7",
            "none",
            TORCH_LEVELS,
            f"{EFFICIENTNET_URL}/efficientnetb7_notop.h5",
            "md5:cbcfe4450ddf6f3ad90b1b398090fe4a",
        ),
        row(
            "efficientnet_v2_b0",
            "EfficientNetV2B0",
            "none",
            TORCH_LEVELS,
            "efficientnet_v2/efficientnetv2-b0_notop.h5",
            "md5:893217f2bb855e2983157299931e43ff",
        ),
        row(
            "efficientnet_v2_b1",
            "EfficientNetV2B1",
            "none",
            TORCH_LEVELS,
            "efficientnet_v2/efficientnetv2-b1_notop.h5",
            "md5:0e80663031ca32d657f9caa404b6ec37",
        ),
        row(
            "efficientnet_v2_b2",
            "EfficientNetV2B2",
            "none",
            TORCH_LEVELS,
            "efficientnet_v2/efficientnetv2-b2_notop.h5",
            "md5:1dfe2e7a5d45b6632553a8961ea609eb",
        ),
        row(
            "efficientnet_v2_b3",
            "EfficientNetV2B3",
            "none",
            TORCH_LEVELS,
            "efficientnet_v2/efficientnetv2-b3_notop.h5",
            "md5:f6abf7b5849ac99a89b50dd3fd532856",
        ),
        row(
            "efficientnet_v2_l",
            "EfficientNetV2L",
            "none",
            128,
            "efficientnet_v2/efficientnetv2-l_notop.h5",
            "md5:b0b66b5c863aef5b46e8608fe1711615",
        ),
        row(
            "efficientnet_v2_m",
            "EfficientNetV2M",
            "none",
            128,
            "efficientnet_v2/efficientnetv2-m_notop.h5",
            "md5:1b8dc055df72dde80d614482840fe342",
        ),
        row(
            "efficientnet_v2_s",
            "EfficientNetV2S",
            "none",
            128,
            "efficientnet_v2/efficientnetv2-s_notop.h5",
            "md5:af0682fb74e8c54910f2d4393339c070",
        ),
        row(
            "inception_resnet_v2",
            "InceptionResNetV2",
            "tf",
            TF_LEVELS,
            f"inception_resnet_v2/inception_resnet_v2{NOTOP}",
            "md5:d19885ff4a710c122648d3b5c3b684e4",
        ),
        row(
            "inception_v3",
            "InceptionV3",
            "tf",
            TF_LEVELS,
            f"inception_v3/inception_v3{NOTOP}",
            "md5:bcbd6486424b2319ff4ef7d526e38f63",
        ),
        row(
            "mobilenet",
            "MobileNet",
            "tf",
            TF_LEVELS,
            "mobilenet/mobilenet_1_0_224_tf_no_top.h5",
            None,
        ),
        row(
            "mobilenet_v2",
            "MobileNetV2",
            "tf",
            TF_LEVELS,
            "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
            None,
        ),
        row(
            "mobilenet_v3_large",
            "MobileNetV3Large",
            "none",
            TF_LEVELS,
            "mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
            "md5:07fb09a5933dd0c8eaafa16978110389",
        ),
        row(
            "mobilenet_v3_small",
            "MobileNetV3Small",
            "none",
            TF_LEVELS,
            "mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
            "md5:d3e8ec802a04aa4fc771ee12a9a9b836",
        ),
        row(
            "resnet101",
            "ResNet101",
            "caffe",
            TORCH_LEVELS,
            f"resnet/resnet101{NOTOP}",
            "md5:88cf7a10940856eca736dc7b7e228a21",
        ),
        row(
            "resnet101_v2",
            "ResNet101V2",
            "tf",
            TF_LEVELS,
            f"resnet/resnet101v2{NOTOP}",
            "md5:c0ed64b8031c3730f411d2eb4eea35b5",
        ),
        row(
            "resnet152",
            "ResNet152",
            "caffe",
            TORCH_LEVELS,
            f"resnet/resnet152{NOTOP}",
            "md5:ee4c566cf9a93f14d82f913c2dc6dd0c",
        ),
        row(
            "resnet152_v2",
            "ResNet152V2",
            "tf",
            TF_LEVELS,
            f"resnet/resnet152v2{NOTOP}",
            "md5:ed17cf2e0169df9d443503ef94b23b33",
        ),
        row(
            "resnet50",
            "ResNet50",
            "caffe",
            TORCH_LEVELS,
            f"resnet/resnet50{NOTOP}",
            "md5:4d473c1dd8becc155b73f8504c6f6626",
        ),
        row(
            "resnet50_v2",
            "ResNet50V2",
            "tf",
            TF_LEVELS,
            f"resnet/resnet50v2{NOTOP}",
            "md5:fac2f116257151a9d068a22e544a4917",
        ),
        row(
            "xception",
            "Xception",
            "tf",
            TF_LEVELS,
            f"xception/xception{NOTOP}",
            "md5:b0042744bf5b25fce3cb969f33bebb97",
        ),
    )
}

# Not among them: NASNet, whose graph in Keras fits pictures of one size only.
NOT_FOR_ALL_SIZES = ("nasnetlarge", "nasnetmobile")

# Layers of the Inception network by the names that the authors' TensorFlow program has,
# which the article's program uses too.
INCEPTION_ALIASES = {
    "Conv2d_1a_3x3": "activation",
    "Conv2d_2a_3x3": "activation_1",
    "Conv2d_2b_3x3": "activation_2",
    "MaxPool_3a_3x3": "max_pooling2d",
    "Conv2d_3b_1x1": "activation_3",
    "Conv2d_4a_3x3": "activation_4",
    "MaxPool_5a_3x3": "max_pooling2d_1",
    "Mixed_5b": "mixed0",
    "Mixed_5c": "mixed1",
    "Mixed_5d": "mixed2",
    "Mixed_6a": "mixed3",
    "Mixed_6b": "mixed4",
    "Mixed_6c": "mixed5",
    "Mixed_6d": "mixed6",
    "Mixed_6e": "mixed7",
    "Mixed_7a": "mixed8",
    "Mixed_7b": "mixed9",
    "Mixed_7c": "mixed10",
}
LAYER_ALIASES = {"inception_v3": INCEPTION_ALIASES}
# Layers of content and of style, where stages are not the best choice. Of Inception:
# those of the article's program.
DEFAULT_LAYERS_OF: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "inception_v3": (
        ("Conv2d_4a_3x3",),
        ("Conv2d_4a_3x3", "Mixed_5b", "Mixed_6a", "Mixed_7a"),
    ),
}


def find_application(net: str) -> Application | None:
    """Return the network that `net` names, in kstyle's or Keras's spelling.

    "ResNet50V2", "resnet50v2" and "resnet50_v2" are the same.
    """
    return BY_LETTERS.get(letters_of(net))


def letters_of(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


BY_LETTERS = {letters_of(name): app for name, app in APPLICATIONS.items()}
