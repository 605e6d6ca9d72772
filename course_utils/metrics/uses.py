"""What codes and errors are good for without labels: groups, and what does not belong."""

from __future__ import annotations

import torch

from course_utils.errors import CourseError
from course_utils.metrics.inputs import as_labels, as_points, as_tensor, check_whole


def grouping_agreement(codes, y, groups: int = 10, seed: int = 0) -> float:
    """Return how well k-means groups agree with labels: 0 for chance, 1 for the same groups.

    The agreement is the normalised mutual information: what groups and labels tell about each
    other, over the mean of their entropies. It does not mind how groups are numbered.

    Args:
        codes: (N, D); k-means starts three times and keeps the tightest groups.
        y: class labels (N,), which the grouping does not see.
        groups: how many to make, from 2 to N.
        seed: of the starts.

    Source: Strehl and Ghosh 2002, JMLR 3. Raises CourseError for bad input.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import normalized_mutual_info_score

    codes = as_points(codes, "codes").cpu()
    y = as_labels(y, len(codes), "y")
    check_whole(groups, "groups", len(codes), " (the codes)")
    if groups < 2:
        raise CourseError("groups is 1; one group agrees with nothing: ask for 2 or more")
    found = KMeans(groups, n_init=3, random_state=seed).fit_predict(codes.numpy())
    return float(normalized_mutual_info_score(y.cpu().numpy(), found))


def auroc(known, new) -> float:
    """Return the share of pairs, one known and one new, in which the new has the larger number.

    This is the area under the receiver operating characteristic of a detector that calls new what
    exceeds a threshold: 0.5 is chance, 1 is perfect. Ties count one half.

    Args:
        known, new: numbers (N,) and (M,), errors say, larger where something does not belong.

    Source: Hanley and McNeil 1982, Radiology 143. Raises CourseError for bad input.
    """
    known, new = as_tensor(known, "known").double(), as_tensor(new, "new").double()
    for name, values in (("known", known), ("new", new)):
        if values.ndim != 1:
            shape = tuple(values.shape)
            raise CourseError(f"{name} has shape {shape}; give one number for each image: (N,)")
    known, new = known.cpu().sort().values, new.cpu().contiguous()
    below = torch.searchsorted(known, new)  # (M,): how many known numbers are smaller,
    up_to = torch.searchsorted(known, new, right=True)  # ... and how many smaller or equal
    return float((below + up_to).double().mean() / (2 * len(known)))
