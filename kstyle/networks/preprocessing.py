"""What networks expect of their input. No TensorFlow."""

# Mean RGB of the training pictures in 0..255. The Caffe networks expect it to be
# subtracted, without a division: Simonyan and Zisserman 2015, section 2.1.
MEAN_RGB = (123.68, 116.779, 103.939)
# Mean and standard deviation of ImageNet's RGB in [0, 1], as PyTorch's models use them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Grey levels of 0..255 in a unit of an input of -1..1, and of one that is divided by
# `IMAGENET_STD`.
TF_LEVELS = 127.5
TORCH_LEVELS = 57.6
# Modes of the input, and how many grey levels one unit of it is. That is the factor on
# the features, which brings the losses to the scale of pictures in 0..255.
PREPROCESS_MODES = {
    "caffe": 1.0,
    "none": 1.0,
    "tf": TF_LEVELS,
    "torch": TORCH_LEVELS,
}
