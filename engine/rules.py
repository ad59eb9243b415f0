"""What is asked of a new scenario: that fields go together which are right by themselves.

Each rule yields its mistakes; `engine.new_scenario` asks all of them.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np

from engine.data.config import meta_per_class
from engine.data.preparation import (
    available_counts,
    balanced_counts,
    smallest_subset,
    stratified_counts,
)
from engine.mistakes import Mistake
from engine.names import require_name
from engine.numbers import count_of, in_255ths
from engine.perturbation.norms import BALLS
from engine.realised import (
    drops,
    evaluation_epsilon,
    latest_share,
    shares_of_run,
    steps_per_epoch,
)
from engine.scenario import Scenario
from engine.types import IntArray

Rule = Callable[[Scenario], Iterator[Mistake]]
CORNERS = 3
"""Steps that a triangle of the learning rate needs: up, the top, down."""
_NEARLY = 1 - 1e-4
"""So that n steps of 1/n of the radius do reach its edge."""


# -- names


def _name_shows_all(scenario: Scenario) -> Iterator[Mistake]:
    """Refuse a name with what cannot be seen; rows of older versions may have one."""
    try:
        require_name(scenario.name)
    except ValueError as error:
        yield Mistake(("name",), scenario.name, str(error))


# -- attacks


def _radius_leaves_images_apart(scenario: Scenario) -> Iterator[Mistake]:
    """Refuse a radius at which every image can become plain grey: no model tells them apart."""
    source, norm = scenario.data.source, scenario.threat.norm
    most = BALLS[norm].widest(source.channels * source.size**2) / 2
    for table, section in (("threat", scenario.threat), ("evaluation", scenario.evaluation)):
        epsilon = getattr(section, "epsilon", None)
        if epsilon is not None and epsilon >= most:
            yield Mistake(
                (table, "epsilon"),
                epsilon,
                f"{epsilon:.6g} is not valid in {norm}: from {most:.6g} on every image can become "
                f"plain grey, and no model tells them apart; allowed: less than {most:.6g}",
            )


def _steps_go_with_the_radius(scenario: Scenario) -> Iterator[Mistake]:
    """Refuse steps that do not reach the edge of the ball, and one that is longer than the ball."""
    threat, config = scenario.threat, scenario.evaluation
    radius = evaluation_epsilon(scenario)
    on_validation, name = config.val_step_size, "val_step_size"
    if on_validation is None:
        on_validation, name = config.step_size, "step_size"
    walks = (
        (("threat", "step_size"), threat.step_size, threat.num_steps, threat.epsilon),
        (("evaluation", "step_size"), config.step_size, config.num_steps, radius),
        (("evaluation", name), on_validation, config.val_num_steps, radius),
    )
    told = set()
    for path, step, num_steps, epsilon in walks:
        if step is None or not epsilon or path in told:
            continue
        if not epsilon * _NEARLY <= step * num_steps or step > 2 * epsilon / _NEARLY:
            told.add(path)
            yield Mistake(path, step, _step_says(step, num_steps, epsilon))


def _step_says(step: float, num_steps: int, epsilon: float) -> str:
    does = (
        f"is longer than the ball of radius {in_255ths(epsilon)} is wide"
        if step > epsilon
        else f"reaches {in_255ths(step * num_steps)} in "
        f"{count_of(num_steps, 'step')}, and the radius is {in_255ths(epsilon)}"
    )
    least = in_255ths(epsilon / num_steps)
    return (
        f"{in_255ths(step)} is not valid, it {does}; allowed: {least} to {in_255ths(2 * epsilon)}, "
        "or leave it out"
    )


# -- data


def _no_class_is_left_empty(scenario: Scenario) -> Iterator[Mistake]:
    """Refuse a stratified subset that is too small for the rarest class."""
    data = scenario.data
    parts = (
        ("train_size", data.train_size, available_counts(data)),
        ("test_size", data.test_size, np.array(data.source.test_counts)),
    )
    for name, size, available in parts:
        present = np.flatnonzero(available)  # a class may have no test image at all
        if size is None or stratified_counts(available[present], size).min() > 0:
            continue
        empty = present[stratified_counts(available[present], size).argmin()]
        least = smallest_subset(available[present], size)
        yield Mistake(
            ("data", name),
            size,
            f"{size} is not valid, it leaves class {data.source.class_names[empty]!r} without an "
            f"image; allowed: a whole number, {least} to {available.sum()}",
        )


def _imbalance_has_the_images(scenario: Scenario) -> Iterator[Mistake]:
    """Refuse a factor that the smallest class cannot give: it would be another one."""
    data = scenario.data
    n = int(balanced_counts(data, data.source.train_counts).min())
    if n and data.imbalance.factor > n:
        yield Mistake(
            ("data", "imbalance", "factor"),
            data.imbalance.factor,
            f"{data.imbalance.factor:g} is not valid, the smallest class has "
            f"{count_of(n, 'training image')} and keeps one at least; allowed: 1 to {n}",
        )


def _known_noise_stands_alone(scenario: Scenario) -> Iterator[Mistake]:
    """Refuse noise on top of the wrong labels that a dataset comes with."""
    ratio = scenario.data.noise.ratio
    if ratio and scenario.data.source.knows_its_noise:
        yield Mistake(
            ("data", "noise", "ratio"),
            ratio,
            f"{ratio:g} is not valid, {scenario.data.source.title} comes with given labels beside "
            "the true ones; allowed: 0",
        )


# -- the course of training


def _milestones_are_apart(scenario: Scenario) -> Iterator[Mistake]:
    """Refuse a milestone that the run never passes, or that another or the warm-up hides."""
    training = scenario.training
    if training.schedule != "multistep":
        return
    passed, own = drops(training), training.method_epochs
    low = training.warmup_epochs + 1
    if None in passed:
        wrong = "one is never passed"
    elif min((after for after in passed if after), default=low) < low:
        wrong = f"one falls within the {count_of(training.warmup_epochs, 'epoch')} of warm-up"
    elif len(set(passed)) < len(passed):
        wrong = "two fall after the same epoch"
    else:
        return
    places = (
        f"epoch {low}" if low == own - 1 else f"different ones of the epochs {low} to {own - 1}"
    )
    yield Mistake(
        ("training", "milestones"),
        training.milestones,
        f"{list(training.milestones)} is not valid with {count_of(own, 'epoch')} of the method, "
        f"{wrong}; allowed: "
        + (f"shares that fall after {places}" if low < own else "an empty list, or a longer run"),
    )


def _cycles_have_steps(scenario: Scenario) -> Iterator[Mistake]:
    training = scenario.training
    if training.schedule != "cyclic":
        return
    total = training.method_epochs * steps_per_epoch(scenario, _counts(scenario))
    if training.num_cycles * CORNERS <= total:
        return
    if total < CORNERS:
        yield Mistake(
            ("training", "schedule"),
            "cyclic",
            f"'cyclic' is not valid, the method has {count_of(total, 'step')} and a triangle needs "
            f"{CORNERS}; allowed: constant, cosine, or a longer run",
        )
    else:
        yield Mistake(
            ("training", "num_cycles"),
            training.num_cycles,
            f"{training.num_cycles} is not valid, the method has {total} steps and a triangle "
            f"needs {CORNERS}; allowed: a whole number, 1 to {total // CORNERS}",
        )


def _patience_can_end(scenario: Scenario) -> Iterator[Mistake]:
    training = scenario.training
    most = training.method_epochs - 2  # the first epoch is the best at first, the last ends anyway
    if training.patience is not None and training.patience > most:
        allowed = f"a whole number, 1 to {most}, or leave it out" if most > 0 else "leave it out"
        yield Mistake(
            ("training", "patience"),
            training.patience,
            f"{training.patience} is not valid with {count_of(training.method_epochs, 'epoch')} of "
            f"the method, it would never stop the run; allowed: {allowed}",
        )


def _warm_start_has_a_rate(scenario: Scenario) -> Iterator[Mistake]:
    training = scenario.training
    if training.warm_start_lr is not None and not training.warm_start_epochs:
        yield Mistake(
            ("training", "warm_start_lr"),
            training.warm_start_lr,
            f"{training.warm_start_lr:g} is not valid without warm_start_epochs; allowed: leave it "
            "out",
        )


def _batch_has_the_images(scenario: Scenario) -> Iterator[Mistake]:
    """Refuse a batch of one's own choice that is larger than the training set."""
    training, total = scenario.training, int(_counts(scenario).sum())
    field = type(training).model_fields["batch_size"]
    if training.batch_size > max(total, field.default):
        yield Mistake(
            ("training", "batch_size"),
            training.batch_size,
            f"{training.batch_size} is not valid with {count_of(total, 'training image')}; "
            f"allowed: a whole number, 8 to {max(total, field.default)}",
        )


# -- the method


def _rules_begin_in_time(scenario: Scenario) -> Iterator[Mistake]:
    """Refuse a share of one's own choice after which no epoch is left."""
    own, method = scenario.training.method_epochs, type(scenario.method)
    for name, _, share in shares_of_run(scenario.method):
        chosen = getattr(scenario.method, name)
        if share <= latest_share(own) or chosen == method.model_fields[name].default:
            continue
        yield Mistake(
            ("method", name),
            chosen,
            f"{chosen:g} is not valid with {count_of(own, 'epoch')} of the method, none is left "
            f"for it; allowed: 0 to {math.floor(latest_share(own) * 1e4) / 1e4:g}",
        )


def _meta_batch_has_the_images(scenario: Scenario) -> Iterator[Mistake]:
    """Refuse a meta batch of one's own choice that is larger than the meta set."""
    method, num_classes = scenario.method, len(scenario.data.source.class_names)
    per_class = scenario.data.meta_per_class or meta_per_class(scenario.data)
    total = per_class * num_classes
    size = getattr(method, "meta_batch_size", 0)
    if size > total and size != type(method).model_fields["meta_batch_size"].default:
        yield Mistake(
            ("method", "meta_batch_size"),
            size,
            f"{size} is not valid with a meta set of {total} images ({per_class} a class); "
            f"allowed: a whole number, 2 to {total}",
        )


def _counts(scenario: Scenario) -> IntArray:
    return scenario.training_counts()


RULES: tuple[Rule, ...] = (
    _name_shows_all,
    _no_class_is_left_empty,
    _imbalance_has_the_images,
    _known_noise_stands_alone,
    _radius_leaves_images_apart,
    _steps_go_with_the_radius,
    _rules_begin_in_time,
    _meta_batch_has_the_images,
    _warm_start_has_a_rate,
    _milestones_are_apart,
    _cycles_have_steps,
    _patience_can_end,
    _batch_has_the_images,
)
