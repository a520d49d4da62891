"""Default layers depend on the network; other names of layers are understood."""

from kstyle import StyleConfig
from kstyle.config.looks import has_tuned_layers

VGG_LAYERS = {"conv4_2": 1.0}


def test_alexnet_has_layers_of_its_own():
    config = StyleConfig(net="alexnet")
    assert config.content_layers == {"conv2": 1.0}
    assert list(config.style_layers) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert StyleConfig.from_yaml(config.to_yaml()) == config


def test_another_network_replaces_only_default_layers():
    config = StyleConfig(style_layers="conv1_1,conv2_1")
    assert StyleConfig().replace(net="alexnet") == StyleConfig(net="alexnet")
    assert StyleConfig(net="alexnet").replace(net="vgg16") == StyleConfig(net="vgg16")
    assert config.replace(net="vgg16").style_layers == config.style_layers
    assert config.replace(net="vgg16").content_layers == VGG_LAYERS


def test_layers_may_be_patterns_and_keras_names():
    config = StyleConfig(
        content_layers="block4_conv2", style_layers="conv1_*:2,relu3_1"
    )
    assert config.content_layers == VGG_LAYERS
    assert config.style_layers == {"conv1_1": 2, "conv1_2": 2, "conv3_1": 1}


def test_only_the_trained_vgg19_has_weights_chosen_by_eye():
    assert has_tuned_layers("vgg19", "builtin") and has_tuned_layers("vgg19", "a.npz")
    assert not has_tuned_layers("vgg16", "builtin")
    assert not has_tuned_layers("vgg19", "random:2")
    assert not has_tuned_layers("alexnet", "builtin")
