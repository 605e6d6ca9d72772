"""Training: one driver, and what an epoch is for each way to train.

`loop` knows the bar, resuming, checkpoints and Ctrl-C, and no model. `one_loss` trains whatever has
one loss, `gan` two networks against each other. `watch` notices that a loss is no number any more;
`numerics` keeps a step fast.
"""

from course_utils.train.gan import fit_gan
from course_utils.train.loop import LOOP_VERSION, Interrupted, run_epochs
from course_utils.train.means import RunningMeans
from course_utils.train.one_loss import evaluate, fit, parameter_count, train_epoch
from course_utils.train.watch import CHECK_EVERY, Diverged

__all__ = [
    "CHECK_EVERY", "LOOP_VERSION", "Diverged", "Interrupted", "RunningMeans", "evaluate",
    "fit", "fit_gan", "parameter_count", "run_epochs", "train_epoch",
]  # fmt: skip
