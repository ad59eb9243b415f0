"""CAAT by reinforcement learning: a policy draws each sample's direction and bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from engine.config import ShareOfRun
from engine.empty import Empty
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.meta.bandit import ClassBaseline, drawn, entropy, explored, surrogate
from engine.meta.characteristics import Characteristics
from engine.meta.learner import MetaLearner
from engine.meta.virtual_step import LossOfParameters
from engine.methods.base import METHODS, LearnedWeight, Learner, Method, MethodConfig, Step
from engine.methods.caat.combination import Combination
from engine.methods.caat.meta_loss import MetaLoss, MetaObjective
from engine.methods.caat.pricing import ETA, MeasuredPrices, class_prices
from engine.objective import Objective
from engine.seeds import initialising, torch_stream
from engine.types import Assignment, Batch, under

if TYPE_CHECKING:
    from torch import Tensor, nn

LEVELS = (0.5, 0.75, 1.0, 1.25, 1.5)
"""Bounds to draw from, in epsilons: the range of the bound by gradient norm in CAAT."""
BASELINE_DECAY = 0.9
"""Weight of the rewards so far against those of one more update."""


@METHODS.register
class CaatRlConfig(MethodConfig):
    """CAAT whose directions and bounds reinforcement learning chooses (Zhou et al., TPAMI 2024).

    Public is that the extension solves for both by reinforcement learning from training
    characteristics; the rest is our own: a one-step contextual bandit.
    """

    name: Literal["caat-rl"] = "caat-rl"
    paper: ClassVar[str] = "after Zhou et al., TPAMI 2024, whose abstract alone is public: our own"
    steers: ClassVar[bool] = True
    assigns: ClassVar[str] = (
        "that of `caat` with copies sampled, where a policy that learns on the meta set draws "
        "adversary or anti-adversary, and the bound, 0.5 to 1.5 epsilon"
    )
    beta: float = Field(1.5, ge=0, le=100, description="Weight of the adversary's KL term")
    bounds: Literal["learned", "fixed"] = Field(
        "learned", description="Bound of a sample: drawn by the policy, or epsilon"
    )
    meta_every: int = Field(1, ge=1, le=10_000, description="Batches from one update to the next")
    meta_batch_size: int = Field(128, ge=2, le=8192, description="Meta images per update")
    meta_num_steps: Annotated[int | None, Empty("as in training")] = Field(
        3,
        ge=1,
        le=200,
        description="Steps of the attack on the meta images, each 2.5 / steps of the bound long",
    )
    meta_lr: float = Field(3e-3, gt=0, le=1, description="Learning rate of the policy")
    meta_objective: MetaObjective = Field(
        "worst-class",
        description="Loss on the meta images: by class weights, or leaning on the classes whose "
        "loss is highest at the time",
    )
    passes: int = Field(
        4, ge=1, le=100, description="Passes over the rewards of one update, by PPO's clipped ratio"
    )
    clip: float = Field(
        0.2, gt=0, lt=1, description="How far a chance may move from that of the draw and count"
    )
    entropy: float = Field(
        0.01,
        ge=0,
        le=10,
        description="Weight of the entropy bonus in the first epoch; it falls to 0 by the last",
    )
    explore: float = Field(
        0.05, gt=0, le=1, description="Share of the policy that stays uniform; 1 is random actions"
    )
    prices: MeasuredPrices = Field(
        "hedge",
        description="Class weights: Hedge over classes and their average as in WAT, Group DRO's "
        "over classes, or none",
    )
    eta: float = Field(
        ETA, ge=0, le=10, description="How fast weight moves to a class of high cost, per nat"
    )
    fairness_from: Annotated[float, ShareOfRun()] = Field(
        0.25, ge=0, le=1, description="Share of the run after which class weights move"
    )
    hidden: int = Field(64, ge=1, le=4096, description="Hidden units of the policy")

    def meta_steps(self, num_steps: int) -> int:
        return -(-num_steps // self.meta_every)

    @property
    def levels(self) -> tuple[float, ...]:
        """Bounds to draw from, in epsilons."""
        return LEVELS if self.bounds == "learned" else (1.0,)

    def build(self, learner: Learner) -> CaatRl:
        return CaatRl(self, learner)

    def network(self) -> nn.Module:
        from engine.meta.networks import PolicyNetwork

        return PolicyNetwork(self.hidden, len(self.levels))

    def learned_weight(self) -> LearnedWeight:
        network = self.network()

        def weight(traits: Characteristics, crowd: Characteristics) -> Tensor:
            return 1 - adversary_chance(explored(network(traits, crowd), self.explore))

        return LearnedWeight("anti_adversary_weight", network, weight)


def adversary_chance(log_chances: Tensor) -> Tensor:
    """Return the chance of an adversary, whatever its bound, (B,), from log pi (B, 2 K)."""
    return log_chances[:, : log_chances.shape[1] // 2].exp().sum(dim=1)


@dataclass(frozen=True)
class Drawn:
    """What the policy did with a batch: log pi (B, 2 K), and the actions (B,)."""

    log_chances: Tensor
    taken: Tensor


class CaatRl(Method):
    """CAAT's objective, with alpha the chance of an adversary under a policy that draws.

    State: the six characteristics. Action: one of 2 K, a direction and a bound. The adversary of
    action k lies in a ball of radius level_k epsilon, its anti-adversary counterpart likewise, and
    step sizes keep their ratio to the radius. Reward: what the sample's own losses under its action
    take from the meta loss in the next step, per unit of step size, to first order:
    -(d L_meta / d w_i . w_i) at the action's weights w, by the derivative that CAAT learns from
    (`engine.meta.virtual_step`). Update: policy gradient with a baseline per class, advantages of
    each direction divided by their root mean square, since an adversary's losses move the model
    more than an anti-adversary's, and an entropy bonus that falls to 0.

    What is stored of a sample is the policy, not the draw: c = alpha w0, a = beta alpha w1,
    b = 1 - alpha, and the bound that was drawn.
    """

    objective = Objective(
        climbs="kl", start="normal", clean=True, anti_adversary=True, characteristics=True
    )

    def __init__(self, config: CaatRlConfig, learner: Learner) -> None:
        self.config, self.learner = config, learner
        with initialising(learner.seed, "policy network"):
            self.network = config.network().to(learner.device)
        self.meta = MetaLearner(
            self.network,
            learner.meta,
            seed=learner.seed,
            lr=config.meta_lr,
            weight_decay=0.0,
            batch_size=config.meta_batch_size,
        )
        self.prices = class_prices(
            config.prices, learner, eta=config.eta, beta=config.beta, shrink=False
        )
        self.combination = Combination(
            self.prices, config.beta, normalise=True, normalise_prices=True
        )
        self.meta_loss = MetaLoss(
            learner,
            self.prices,
            config.beta,
            num_steps=config.meta_num_steps,
            kind=config.meta_objective,
        )
        self.baseline = ClassBaseline(
            learner.num_classes, decay=BASELINE_DECAY, device=learner.device
        )
        self.levels = torch.tensor(config.levels, device=learner.device)
        self.drawn: Drawn | None = None

    def start_epoch(self, epoch: int, validation: ClassErrors | None) -> None:
        learner = self.learner
        self.meta.start_epoch(epoch)
        self.actions = torch_stream(learner.seed, "policy actions", epoch, device=learner.device)
        self.bonus = self.config.entropy * (1 - (epoch - 1) / max(learner.epochs - 1, 1))
        self._told: dict[str, list[Tensor]] = {"policy_reward": [], "policy_entropy": []}
        if validation is not None and learner.has_reached(self.config.fairness_from, epoch):
            self.prices.update(validation)

    # -- actions

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        assert characteristics is not None
        with torch.no_grad():
            log_chances = self._policy(characteristics)
        taken = drawn(log_chances, self.actions)
        self.drawn = Drawn(log_chances, taken)
        alpha = adversary_chance(log_chances)
        level = self.levels[taken % len(self.levels)]
        clean, adversary, anti_adversary = self.combination.weights(batch.y, alpha).unbind(dim=1)
        return Assignment(
            clean,
            adversary,
            anti_adversary,
            bound=level * self.learner.epsilon,
            step=level * self.learner.step_size,
            probability=alpha,
            direction=taken < len(self.levels),
        )

    def _policy(self, characteristics: Characteristics) -> Tensor:
        return explored(self.network(characteristics), self.config.explore)

    # -- learning

    def learn(self, step: Step) -> bool:
        """Move the policy by the rewards of its draws; the assignments of this batch stay."""
        if step.number % self.config.meta_every:
            return False
        assert step.characteristics is not None
        assert self.drawn is not None
        reward = self.reward(step)
        advantage = self._advantage(reward, step)
        for _ in range(self.config.passes):
            log_chances = self._policy(step.characteristics)
            gain = surrogate(
                log_chances,
                self.drawn.log_chances,
                taken=self.drawn.taken,
                advantage=advantage,
                clip=self.config.clip,
            )
            self.meta.descend(-gain - self.bonus * entropy(log_chances).mean())
        self.baseline.update(reward, step.batch.y)
        self._told["policy_reward"].append(reward.mean())
        self._told["policy_entropy"].append(entropy(self.drawn.log_chances).mean())
        return False

    def reward(self, step: Step) -> Tensor:
        """Return the reward of each sample's draw, (B,).

        The losses of the drawn copy come divided by its chance, and its weight in the objective
        holds that chance: their product is what the action does. The clean loss goes with the
        adversary, as alpha does in the objective, so that an anti-adversary spares it.
        """
        draw = step.copies.draw
        assert draw is not None
        weights = self.combination.weights(step.batch.y, draw.probability)
        meta_loss = self._meta_loss(self.meta.batch())
        gradient = self.learner.meta_gradient(
            step, weights, objective=self.objective, meta_loss=meta_loss
        )
        falls = -gradient * weights * len(step.batch)
        for_adversary, _ = draw.scales
        per_step: float = self.learner.optimizer.param_groups[0]["lr"]
        return (for_adversary * falls[:, 0] + falls[:, 1] + falls[:, 2]) / max(per_step, 1e-12)

    def _meta_loss(self, batch: Batch) -> LossOfParameters:
        bound = torch.full((len(batch),), self.learner.epsilon, device=batch.x.device)
        return self.meta_loss.on(batch, bound)

    def _advantage(self, reward: Tensor, step: Step) -> Tensor:
        """Return reward over baseline, (B,), over its root mean square in each direction."""
        assert step.copies.draw is not None
        over = reward - self.baseline.expected(step.batch.y)
        is_adversary = step.copies.draw.is_adversary
        of_adversaries = _root_mean_square(over, is_adversary)
        scale = torch.where(is_adversary, of_adversaries, _root_mean_square(over, ~is_adversary))
        return over / scale

    def diagnostics(self) -> dict[str, float]:
        return {name: torch.stack(v).mean().item() for name, v in self._told.items() if v}

    # -- state

    def state(self) -> dict[str, Tensor]:
        parts = {"baseline": self.baseline.state(), "prices": self.prices.state()}
        named = {f"{part}.{name}": v for part, held in parts.items() for name, v in held.items()}
        return self.meta.state() | named

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.meta.load_state(state)
        self.baseline.load_state(under("baseline.", state))
        self.prices.load_state(under("prices.", state))


def _root_mean_square(values: Tensor, where: Tensor) -> Tensor:
    """Return that of some of values (B,), a scalar; of none it is the least positive number."""
    square = (values.square() * where).sum() / where.sum().clamp_min(1)
    return square.sqrt().clamp_min(torch.finfo(values.dtype).eps)
