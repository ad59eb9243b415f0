"""One run: its model, method and data, step by step through an epoch."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from engine.attacks.base import Conditions
from engine.data.loader import Batches
from engine.data.preparation import Data
from engine.errors import Stopped
from engine.evaluation.class_errors import ClassErrors, class_errors
from engine.evaluation.evaluate import Evaluation, Outcomes, attack_of, count_by_class, examine
from engine.inspection.distributions import class_distributions, class_means
from engine.inspection.gallery import gallery
from engine.inspection.learned import learned
from engine.meta.characteristics import Characteristics, ClassLoss, characteristics
from engine.methods.base import Method, Step
from engine.models.classifier import Classifier
from engine.models.ema import WeightAverage
from engine.models.modes import arithmetic
from engine.objective import Logits, logits_of, losses_of, per_sample_losses
from engine.optim.config import load_momentum_buffers, momentum_buffers, set_lr
from engine.optim.weight_perturbation import perturbed_weights
from engine.perturbation.training import TrainingAttack
from engine.scenario import Scenario
from engine.seeds import torch_stream
from engine.training.build import initial_model, learner_of
from engine.training.divergence import require_finite
from engine.training.epoch_record import EpochRecord, Stepped
from engine.training.observer import EpochReport, FinalReport, Observer, Progress, Snapshot
from engine.training.run_info import card_of_test, checkpoint_in_words
from engine.training.selection import Selection
from engine.training.warm_start import NaturalStart
from engine.types import Assignment, Batch, Columns, under

TOLD_PER_EPOCH = 10
"""How often in an epoch the batch loss is told."""


class Trainer:
    """One run's model, method and data on a device.

    Every random stream is made anew at each epoch from (run seed, purpose, epoch), so the state
    that `EpochReport` carries is all that a later process needs to give the same numbers.
    """

    def __init__(
        self,
        scenario: Scenario,
        data: Data,
        observer: Observer,
        *,
        device: torch.device,
        model: Classifier | None = None,
    ) -> None:
        """Put a run together; ``model`` stands in the place of the scenario's own."""
        self.scenario, self.data, self.observer, self.device = scenario, data, observer, device
        self.seed, self.num_classes = scenario.seed, len(data.class_names)
        self.train_images = data.train.to(device)
        self.class_counts = torch.from_numpy(data.class_counts).to(device)
        training = scenario.training
        self.batches = Batches(
            self.train_images, training.batch_size, self.seed, augment=training.augment
        )
        self.num_steps = self.batches.num_steps
        self.model = (model or initial_model(scenario, data)).to(device)
        self.optimizer = training.optimizer(self.model)
        rng, counts = torch.Generator(device), training.record_steps
        self.attack = TrainingAttack(self.model, scenario.threat, rng, counts=counts)
        images = self.train_images
        self.learner = learner_of(scenario, data, self.optimizer, attack=self.attack, train=images)
        self.policy = scenario.method.build(self.learner)
        self.method: Method = self.policy
        by_epoch = self.policy.average_decay
        decay = by_epoch or training.ema_decay or 0.0
        self.average = WeightAverage(decay, warms_up=by_epoch is None)
        keeps_best = scenario.evaluation.checkpoint == "best"
        self.selection = Selection(keeps_best=keeps_best, patience=training.patience)
        self.class_loss = ClassLoss(self.num_classes, device, self.policy.objective.class_loss)
        self.validation: ClassErrors | None = None

    def run_epoch(self, epoch: int) -> EpochReport:
        """Train for one epoch and look at the validation data."""
        self._begin(epoch)
        self.model.train()
        record = EpochRecord(len(self.data.train), self.device)
        for number, batch in enumerate(self.batches.epoch(epoch)):
            self._check()
            self._begin_step(epoch, number)
            with arithmetic(tf32=self.scenario.training.precision == "tf32"):
                record.add(self._step(epoch, number, self.method.relabelled(batch)))
            self._tell(epoch, number + 1, record)
        self.attack.share = 1.0  # from here on radii are given as they are meant
        self._require_finite("model", self.model.parameters(), epoch, step=self.num_steps)
        self.class_loss.end_epoch()
        return self._report(epoch, record, self._validate(epoch))

    def is_last(self, epoch: int) -> bool:
        """Tell whether training ends with this epoch."""
        return epoch >= self.scenario.training.epochs or not self.selection.is_patient(epoch)

    def _begin(self, epoch: int) -> None:
        """Make the epoch's streams; after a warm start the optimiser forgets, the method begins."""
        self.attack.rng = torch_stream(self.seed, "training attack", epoch, device=self.device)
        own = self._own_epoch(epoch)
        self.method = self.policy if own > 0 else NaturalStart(self.policy.objective)
        if own == 1:
            self.optimizer.state.clear()
        self.method.start_epoch(own, self.validation)

    def _own_epoch(self, epoch: int) -> int:
        """Return the method's epoch, counted from 1; in a warm start it is below 1."""
        return epoch - self.scenario.training.warm_start_epochs

    def _begin_step(self, epoch: int, number: int) -> None:
        """Set the learning rate, and the radius in training, of one step."""
        set_lr(self.optimizer, self.scenario.training.lr_at(epoch, number, self.num_steps))
        done = max(self._own_epoch(epoch) - 1, 0) + number / self.num_steps
        self.attack.share = self.scenario.threat.share_at(done)

    def _step(self, epoch: int, number: int, batch: Batch) -> Stepped:
        """Assign, perturb, let the method learn, then move the model by the weighted loss."""
        if self.method is not self.policy:
            return self._natural_step(batch)
        objective = self.method.objective
        log_p, traits = self._clean_view(batch)
        assignment = self.method.assign(batch, traits)
        copies = self.attack(batch, log_p, assignment.bound, objective=objective, **assignment.walk)
        view = self.method.view(self.model)
        logits = logits_of(view, batch, copies, objective=objective)
        losses = losses_of(logits, batch.target, objective, draw=copies.draw)
        said = None if logits.adversary is None else logits.adversary.detach()
        own = self._own_epoch(epoch)
        with arithmetic(tf32=False):
            anew = self.method.learn(Step(batch, traits, copies, losses, own, number, said))
        if anew:
            assignment = self.method.assign(batch, traits)
        self._gradient(assignment, losses)
        if (gamma := self.scenario.training.awp_at(own)) is not None:
            with perturbed_weights(self.model, gamma):
                losses_there = per_sample_losses(view, batch, copies, objective=objective)
                self._gradient(assignment, losses_there)
        self.optimizer.step()
        if self.scenario.training.ema_decay is not None and self.policy.average_decay is None:
            self.average.update(self.model)
        assignment = replace(assignment, bound=self.attack.share * assignment.bound)
        return Stepped(batch, assignment, traits, losses.detach(), copies.withstood)

    def _natural_step(self, batch: Batch) -> Stepped:
        """Move the model by the mean clean loss; the one pass shows the characteristics as well."""
        objective = self.method.objective
        logits = self.model(batch.x)
        log_p = logits.detach().log_softmax(dim=1)
        traits = self._traits(log_p, batch.y) if objective.characteristics else None
        assignment = self.method.assign(batch, traits)
        losses = losses_of(Logits(logits, None, None), batch.y, objective)
        self._gradient(assignment, losses)
        self.optimizer.step()
        return Stepped(batch, assignment, traits, losses.detach())

    def _gradient(self, assignment: Assignment, losses: Tensor) -> None:
        """Give the parameters the gradient of a batch's weighted loss; losses are (B, 3)."""
        self.optimizer.zero_grad()
        (assignment.weights * losses).sum(dim=1).mean().backward()

    def _clean_view(self, batch: Batch) -> tuple[Tensor | None, Characteristics | None]:
        """Look at the clean images once, in eval mode: log p(x), and the characteristics."""
        objective = self.method.objective
        if not objective.characteristics and objective.climbs != "kl":
            return None, None
        log_p = self.learner.log_probabilities(batch.x)
        return log_p, self._traits(log_p, batch.y) if objective.characteristics else None

    def _traits(self, log_p: Tensor, y: Tensor) -> Characteristics:
        traits = characteristics(
            log_p, y, class_loss=self.class_loss.last, class_counts=self.class_counts
        )
        self.class_loss.add(traits.loss, y)
        return traits

    def _tell(self, epoch: int, done: int, record: EpochRecord) -> None:
        """Tell the progress, and the mean batch loss ten times an epoch."""
        batch_loss = None
        if done * TOLD_PER_EPOCH // self.num_steps > (done - 1) * TOLD_PER_EPOCH // self.num_steps:
            self._require_finite("bound", [record.bounds()], epoch, step=done)
            loss = record.loss_since_told()
            self._require_finite("loss", [loss], epoch, step=done)
            batch_loss = loss.item()
        self.observer.on_progress(Progress("training", epoch, done, self.num_steps, batch_loss))

    def _require_finite(
        self, what: str, tensors: Iterable[Tensor], epoch: int, *, step: int
    ) -> None:
        require_finite(what, tensors, epoch=epoch, step=step, learning_rate=self.learning_rate)

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def _check(self) -> None:
        if self.observer.should_stop():
            raise Stopped

    def _validate(self, epoch: int) -> Evaluation:
        """Look at the validation data: for the policy at the model, to report at its average."""
        shown = count_by_class(self._evaluate("validation", epoch), self.num_classes)
        self.validation = class_errors(shown, self.device)
        own = self._own_epoch(epoch)
        averages = self.method.average_decay is not None
        if averages and self.method.joins_average(own, self.validation):
            self.average.update(self.model)
        with self.average.applied(self.model):
            if not self.average.is_empty:
                shown = count_by_class(self._evaluate("validation", epoch), self.num_classes)
            if own > 0:
                self.selection.look(epoch, shown, self.model)
        return shown

    def _evaluate(self, split: str, epoch: int) -> Outcomes:
        phase = "testing" if split == "test" else "validating"
        self.observer.on_progress(Progress(phase, epoch, self.num_steps, self.num_steps))
        images = self.data.test if split == "test" else self.data.validation
        attack = attack_of(self.scenario.evaluation, self.scenario.threat, split=split)
        conditions = Conditions(self.seed, self.scenario.evaluation.batch_size, self._check)
        with self.model.in_float32():
            return examine(self.model, images, attack, conditions=conditions, device=self.device)

    def test(self, last: int) -> FinalReport:
        """Look at the test data, once, after the last epoch: at its weights or at the best ones."""
        best = self.selection.keeps_best
        epoch = self.selection.epoch if best else last
        with self.average.applied(self.model), self.selection.applied(self.model):
            found = self._evaluate("test", last)
        averaged, planned = not self.average.is_empty, self.scenario.training.epochs
        words = checkpoint_in_words(epoch, last, planned, best=best, averaged=averaged)
        card = card_of_test(self.scenario, self.data, words)
        outcomes, errors = found.columns(self.data.test), count_by_class(found, self.num_classes)
        return FinalReport(epoch, epoch * self.num_steps, outcomes, errors, card)

    def _report(self, epoch: int, record: EpochRecord, validation: Evaluation) -> EpochReport:
        training, train = self.scenario.training, self.data.train
        columns = record.as_numpy()
        recorded = epoch % training.record_every == 0 or self.is_last(epoch)
        stream = torch_stream(self.seed, "permutations", epoch, device=self.device)
        return EpochReport(
            epoch=epoch,
            step=epoch * self.num_steps,
            measures={
                **record.means(),
                "learning_rate": self.learning_rate,
                **self.method.diagnostics(),
                **learned(self.method, train, self.train_images, columns=columns, rng=stream),
            },
            validation=validation,
            class_measures=class_means(columns, train.labels, self.num_classes),
            class_counts=self.data.class_counts.tolist(),
            snapshot=self._snapshot(columns) if recorded else None,
            state=self.state(),
        )

    def _snapshot(self, columns: Columns) -> Snapshot:
        train, images, objective = self.data.train, self.train_images, self.method.objective
        given, true = train.labels, train.true_labels
        with self.average.applied(self.model), self.model.in_float32():
            shown = gallery(self.learner, objective, train, on_device=images, columns=columns)
        return Snapshot(
            columns={"sample": train.source, **columns},
            distributions=class_distributions(columns, given, true, num_classes=self.num_classes),
            gallery=shown,
        )

    def state(self) -> dict[str, Tensor]:
        """Return a copy, on the CPU, of everything that has been learned so far, by name."""
        parts = {
            "model": self.model.state_dict(),
            "momentum": momentum_buffers(self.optimizer, self.model),
            "method": self.policy.state(),
            "average": self.average.state(),
            "selection": self.selection.state(),
            "validation": vars(self.validation) if self.validation is not None else {},
        }
        state = {f"{part}.{name}": v for part, held in parts.items() for name, v in held.items()}
        state["class_loss"] = self.class_loss.last
        if not self.average.is_empty and self.average.count is not None:
            state["average_count"] = torch.tensor(self.average.count)
        return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` returned."""
        state = {name: value.to(self.device, copy=True) for name, value in state.items()}
        self.model.load_state_dict(under("model.", state))
        load_momentum_buffers(self.optimizer, self.model, under("momentum.", state))
        self.policy.load_state(under("method.", state))
        self.average.load_state(under("average.", state), state.get("average_count"))
        self.selection.load_state(under("selection.", state))
        self.class_loss.last = state["class_loss"]
        validation = under("validation.", state)
        self.validation = ClassErrors(**validation) if validation else None
