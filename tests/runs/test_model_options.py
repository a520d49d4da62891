"""What options mean for a model: the losses of the default look."""

from kstyle import StyleConfig
from kstyle.losses.moments import CovarianceLoss, GramLoss
from kstyle.runs.job import prepare
from kstyle.runs.model_options import job_terms

DEFAULT_LOSSES = {
    "conv1_1": GramLoss,
    "conv2_1": CovarianceLoss,
    "conv3_1": CovarianceLoss,
    "conv4_1": GramLoss,
    "conv5_1": GramLoss,
}


def test_a_default_run_has_the_losses_of_the_default_look(small_run):
    content = small_run["content"]
    config = StyleConfig(content=content, style=content, logdir=small_run["logdir"])
    job = prepare(config)
    for scale in job.scales:
        terms = [term for term in job_terms(job, scale) if term.is_style]
        assert {term.layer: type(term.loss) for term in terms} == DEFAULT_LOSSES
