"""CAAT as its authors released it (their commit 9186f6d), defects included, for audit.

D1 to D9 and D13 are the defects of that code; docs/methods.md says what each does, and which of its
other oddities are not here. D1, D2 and D5 are in the objective: `NormalisedSpace`, `ClassLoss`.
"""

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from engine.evaluation.class_errors import ClassErrors
from engine.meta.characteristics import Characteristics, characteristics
from engine.meta.learner import MetaLearner
from engine.meta.multipliers import ClassMultipliers
from engine.meta.virtual_step import Parameters, virtual_step
from engine.methods.base import Learner, Step
from engine.methods.caat.combination import class_weights
from engine.methods.caat.policy import Weighting
from engine.models.modes import eval_mode
from engine.objective import Objective, per_sample_losses
from engine.optim.config import clip
from engine.perturbation.released import released_attack
from engine.perturbation.spaces import NormalisedSpace
from engine.seeds import torch_stream
from engine.types import Assignment, Batch, Copies, one_hot

WIDER = 10 / 8
"""D13: radius of training, in epsilons of the evaluation."""
FIRST_CLASS_LOSS = 5.0
"""D5: what stands for the mean loss of every class, for ever."""
HALVE_EVERY = 40
"""Epochs after which the step of the class multipliers is halved."""
AT_A_TIME = 500
"""Validation images that are attacked at a time."""


class CaatAsReleased(Weighting):
    """c = alpha w0, a = beta alpha w1, b = 1 - alpha, with class weights over their batch mean.

    Unlike `Caat` it moves images behind the normalisation (D1, D2), by a wider radius (D13), on a
    model that leaves train mode with the first clean batch of an epoch (D3).
    """

    objective = Objective(
        climbs="kl",
        start="normal",
        clean=True,
        anti_adversary=True,
        characteristics=True,
        space="normalised",
        class_loss=FIRST_CLASS_LOSS,
    )

    def __init__(
        self,
        learner: Learner,
        meta: MetaLearner,
        multipliers: ClassMultipliers,
        *,
        beta: float,
        meta_every: int,
        fairness_from: float,
    ) -> None:
        super().__init__(learner, meta, multipliers)
        self.beta, self.meta_every, self.fairness_from = beta, meta_every, fairness_from
        self.rate = multipliers.rate

    # -- assignments

    @torch.no_grad()
    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        assert characteristics is not None
        clean, adversary, anti_adversary = self._weights(batch, characteristics).unbind(dim=1)
        return Assignment(clean, adversary, anti_adversary, self._bound(batch.y))

    def _weights(self, batch: Batch, traits: Characteristics) -> Tensor:
        """Return (B, 3): c, a and b, with their graph to the network and to the traits."""
        alpha, anti_adversary = self.network(traits).unbind(dim=1)
        w0, w1 = class_weights(self.prices, batch.y)
        adversary = self.beta * alpha * w1 / w1.mean()
        return torch.stack([alpha * w0 / w0.mean(), adversary, anti_adversary], dim=1)

    def _bound(self, y: Tensor) -> Tensor:
        factors = self.multipliers.bound_factors(0.98, 2.5)
        return WIDER * self.learner.epsilon * factors[y]

    def view(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """D3: nothing puts the model back in train mode before the next epoch does."""

        def predict(x: Tensor) -> Tensor:
            logits: Tensor = model(x)
            model.eval()
            return logits

        return predict

    # -- class multipliers

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        self._start_counting()
        self.meta.start_epoch(epoch)
        if self.learner.has_reached(self.fairness_from, epoch):
            self.multipliers.rate = self.rate * 0.5 ** (epoch // HALVE_EVERY)
            self.multipliers.update(self._errors(epoch))

    def _errors(self, epoch: int) -> ClassErrors:
        """Return the errors on validation data, attacked behind the normalisation.

        The boundary error is the difference of two error rates: an attack that mends a mistake
        lowers it.
        """
        images, device = self.learner.validation, self.learner.device
        total = torch.zeros(3, self.learner.num_classes, device=device)
        model = NormalisedSpace(self.learner.model)
        epsilon, step = self.learner.epsilon, self.learner.step_size
        rng = torch_stream(self.learner.seed, "released validation attack", epoch, device=device)
        with eval_mode(self.learner.model):
            for index in torch.arange(len(images), device=device).split(AT_A_TIME):
                batch = images.batch(index)
                x, y = model.enter(batch.x), batch.y
                x_adv = released_attack(model, x, y, rng=rng, epsilon=epsilon, step=step)
                wrong = _is_wrong(model, x, y), _is_wrong(model, x_adv, y)
                member = one_hot(y, total.shape[1], total.dtype)
                total = total + torch.stack([*wrong, torch.ones_like(wrong[0])]) @ member
        natural, robust = total[:2] / total[2].clamp_min(1)
        return ClassErrors(natural, boundary=robust - natural)

    # -- learning

    def learn(self, step: Step) -> bool:
        assert step.characteristics is not None
        with torch.no_grad():
            self._count_saturated(self.network(step.characteristics)[:, 0])
        if (step.number + 1) % self.meta_every:
            return False
        pseudo = copy.deepcopy(self.learner.model).train()
        weights, loss = self._pseudo_loss(pseudo, step.batch, step.characteristics)
        weights.retain_grad()
        self.meta.descend(self._meta_loss(pseudo, self._landed(pseudo, loss), step.batch))
        assert weights.grad is not None
        self._gradient_norms.append(weights.grad.norm())
        return True

    def _pseudo_loss(
        self, pseudo: nn.Module, batch: Batch, traits: Characteristics
    ) -> tuple[Tensor, Tensor]:
        """Return Eq. 9's weights (B, 3) and loss with their graph to a copy of the model.

        The weights depend on the model too (D9). Clean cross-entropy and characteristics are in
        train mode, the rest is in eval mode (D4), where the copy stays.
        """
        logits = pseudo(batch.x)
        weights = self._weights(batch, _traits_of(logits, batch.y, traits))
        pseudo.eval()
        copies = self._copies(pseudo, batch, self._bound(batch.y))
        perturbed = per_sample_losses(pseudo, batch, copies, objective=self.objective)[:, 1:]
        natural = F.cross_entropy(logits, batch.y, reduction="none")
        losses = torch.cat([natural[:, None], perturbed], dim=1)
        return weights, (weights * losses).sum(dim=1).mean()

    def _landed(self, pseudo: nn.Module, loss: Tensor) -> Parameters:
        """Return where the optimiser's step down the pseudo-loss lands, with its graph.

        The released code clips no gradient; where a scenario does, the factor is a constant.
        """
        names, parameters = zip(*pseudo.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
        named = dict(zip(names, gradients, strict=True))
        clip_norm = getattr(self.learner.optimizer, "clip_norm", None)
        named = named if clip_norm is None else clip(named, clip_norm)[0]
        own: Parameters = dict(self.learner.model.named_parameters())
        return virtual_step(self.learner.optimizer, own, named)[0]

    def _meta_loss(self, pseudo: nn.Module, landed: Parameters, train: Batch) -> Tensor:
        """Return Eq. 10: the three terms on meta images, all in eval mode.

        The class weights and bounds are those of the labels of the *training* batch, image by
        image (D6); of the longer batch only so many images as the other has are used.
        """
        meta = _first(self.meta.batch(), len(train))
        labelled = _first(train, len(meta))
        moved = copy.deepcopy(pseudo)
        moved.load_state_dict(
            {name: value.detach() for name, value in landed.items()}, strict=False
        )
        copies = self._copies(moved, meta, self._bound(labelled.y))

        def predict(x: Tensor) -> Tensor:
            logits: Tensor = functional_call(moved, landed, (x,))
            return logits

        natural, boundary, anti = per_sample_losses(
            predict, meta, copies, objective=self.objective
        ).T
        w0, w1 = class_weights(self.prices, labelled.y)
        fair = (w0 * natural).sum() / w0.sum() + self.beta * (w1 * boundary).sum() / w1.sum()
        loss: Tensor = fair + anti.mean()
        return loss

    def _copies(self, model: nn.Module, batch: Batch, bound: Tensor) -> Copies:
        """Attack a copy of the model that is in eval mode."""
        with torch.no_grad():
            log_p = model(batch.x).log_softmax(dim=1)
        return self.learner.attack.on(model)(batch, log_p, bound, objective=self.objective)


def _first(batch: Batch, size: int) -> Batch:
    return Batch(batch.x[:size], batch.y[:size], batch.index[:size])


def _traits_of(logits: Tensor, y: Tensor, traits: Characteristics) -> Characteristics:
    """Return the characteristics of other logits (B, C), with the same of the classes."""
    nothing = torch.ones(logits.shape[1], device=logits.device)
    live = characteristics(logits, y, class_loss=nothing, class_counts=nothing)
    return replace(live, class_loss=traits.class_loss, class_proportion=traits.class_proportion)


@torch.no_grad()
def _is_wrong(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return 1 for a mistake and 0 otherwise, (B,)."""
    wrong: Tensor = model(x).argmax(dim=1) != y
    return wrong.float()
