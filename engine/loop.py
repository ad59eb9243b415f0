"""train(scenario, observer): the only place that knows epochs."""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from engine.attack import TrainingAttack
from engine.averaging import WeightAverage
from engine.backbone import Classifier, channel_statistics
from engine.characteristics import Characteristics, ClassLoss, characteristics
from engine.dataset import Data, prepare
from engine.errors import Diverged, Stopped
from engine.evaluate import Evaluation, attack_of, count_by_class, find_mistakes
from engine.facts import card_of_test, identity, run_facts
from engine.gallery import gallery
from engine.method import ClassErrors, Learner, Step
from engine.objective import logits_of, losses_of
from engine.observer import EpochReport, FinalReport, Observer, Progress, Snapshot
from engine.optimise import load_momentum_buffers, momentum_buffers, set_lr
from engine.record import EpochRecord, class_errors
from engine.runtime import configure
from engine.scenario import Scenario
from engine.seeds import initialising, torch_stream
from engine.summary import class_distributions, class_means
from engine.types import Assignment, Batch, Columns, under

TOLD_PER_EPOCH = 10
"""How often in an epoch the batch loss is told."""


def train(
    scenario: Scenario,
    observer: Observer,
    *,
    data_folder: Path,
    device: torch.device,
    resume: tuple[int, dict[str, Tensor]] | None = None,
) -> None:
    """Run a scenario to its end.

    Args:
        scenario: What to do.
        observer: Told of everything; asked before every step whether to stop.
        data_folder: Where datasets are kept.
        device: Where to compute.
        resume: Epoch and state of an `EpochReport` to go on from.

    Raises:
        Stopped: The observer asked for it.
        Diverged: The loss, a bound or the model is no longer a finite number.
        UserError: The data are missing.
    """
    configure(device, scenario.training.num_threads)
    data = prepare(scenario.data, scenario.seed, data_folder)
    trainer = Trainer(scenario, data, observer, device)
    facts = run_facts(scenario, data, trainer.model, device, trainer.num_steps)
    observer.on_start(facts, identity(data.train))
    first = 1
    if resume is not None:
        trainer.load_state(resume[1])
        first = resume[0] + 1
    for epoch in range(first, scenario.training.epochs + 1):
        observer.on_epoch(trainer.run_epoch(epoch))
    observer.on_finish(trainer.test())


class Trainer:
    """One run's model, method and data on a device.

    Every random stream is made anew at each epoch from (run seed, purpose, epoch), so the state
    that `EpochReport` carries is all that a later process needs to give the same numbers.
    """

    def __init__(
        self, scenario: Scenario, data: Data, observer: Observer, device: torch.device
    ) -> None:
        self.scenario, self.data, self.observer, self.device = scenario, data, observer, device
        self.seed, self.num_classes = scenario.seed, len(data.class_names)
        self.train_images = data.train.to(device)
        self.class_counts = torch.from_numpy(data.class_counts).to(device)
        self.num_steps = max(1, -(-len(data.train) // scenario.training.batch_size))
        self.model = self._model()
        self.optimizer = scenario.training.optimizer(self.model)
        self.attack = TrainingAttack(self.model, scenario.threat, torch.Generator(device))
        meta = data.meta.to(device)
        self.learner = Learner(
            model=self.model,
            optimizer=self.optimizer,
            attack=self.attack,
            device=device,
            seed=self.seed,
            epochs=scenario.training.epochs,
            epsilon=scenario.threat.epsilon,
            step_size=scenario.threat.step,
            num_classes=self.num_classes,
            meta=meta.batch(torch.arange(len(meta), device=device)),
            validation=data.validation.to(device),
        )
        self.method = scenario.method.build(self.learner)
        self.average = WeightAverage(self.method.average_decay or 0.0)
        self.class_loss = ClassLoss(self.num_classes, device)
        self.validation: ClassErrors | None = None

    def _model(self) -> Classifier:
        source = self.scenario.data.source
        mean, std = channel_statistics(torch.from_numpy(self.data.train.images))
        with initialising(self.seed, "model"):
            backbone = self.scenario.model.build(source.channels, source.size, self.num_classes)
        return Classifier(backbone, mean, std).to(self.device)

    # -- one epoch

    def run_epoch(self, epoch: int) -> EpochReport:
        """Train for one epoch and look at the validation data."""
        self._begin(epoch)
        self.model.train()
        record = EpochRecord(len(self.data.train), self.device)
        for number, index in enumerate(self._batches(epoch)):
            self._check()
            record.add(*self._step(epoch, number, self.train_images.batch(index)))
            self._tell(epoch, number + 1, record)
        self._require_finite("model", self.model.parameters(), epoch, self.num_steps)
        self.class_loss.end_epoch()
        return self._report(epoch, record, self._validate(epoch))

    def _begin(self, epoch: int) -> None:
        set_lr(self.optimizer, self.scenario.training.lr_at(epoch))
        self.attack.rng = torch_stream(self.seed, "training attack", epoch, self.device)
        self.method.start_epoch(epoch, self.validation)

    def _batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Cut a shuffled epoch into batches whose sizes differ by at most one."""
        rng = torch_stream(self.seed, "shuffle", epoch)
        order = torch.randperm(len(self.data.train), generator=rng).to(self.device)
        return order.tensor_split(self.num_steps)

    def _step(
        self, epoch: int, number: int, batch: Batch
    ) -> tuple[Batch, Assignment, Characteristics | None, Tensor]:
        """Assign, perturb, let the method learn, then move the model by the weighted loss."""
        objective = self.method.objective
        log_p, traits = self._clean_view(batch)
        assignment = self.method.assign(batch, traits)
        self._require_finite("bound", [assignment.bound], epoch, number + 1)
        copies = self.attack(
            batch, log_p, assignment.bound, objective, assignment.step, assignment.probability
        )
        logits = logits_of(self.model, batch, copies, objective)
        losses = losses_of(logits, batch.y, objective, copies.draw)
        said = None if logits.adversary is None else logits.adversary.detach()
        if self.method.learn(Step(batch, traits, copies, losses, epoch, number, said)):
            assignment = self.method.assign(batch, traits)
        loss = (assignment.weights * losses).sum(dim=1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return batch, assignment, traits, losses.detach()

    def _clean_view(self, batch: Batch) -> tuple[Tensor | None, Characteristics | None]:
        """Look at the clean images once, in eval mode: log p(x), and the characteristics."""
        objective = self.method.objective
        if not objective.characteristics and objective.climbs != "kl":
            return None, None
        log_p = self.learner.log_probabilities(batch.x)
        if not objective.characteristics:
            return log_p, None
        traits = characteristics(
            log_p, batch.y, class_loss=self.class_loss.last, class_counts=self.class_counts
        )
        self.class_loss.add(traits.loss, batch.y)
        return log_p, traits

    def _tell(self, epoch: int, done: int, record: EpochRecord) -> None:
        """Tell the progress, and the mean batch loss ten times an epoch."""
        batch_loss = None
        if done * TOLD_PER_EPOCH // self.num_steps > (done - 1) * TOLD_PER_EPOCH // self.num_steps:
            loss = record.loss_since_told()
            self._require_finite("loss", [loss], epoch, done)
            batch_loss = loss.item()
        self.observer.on_progress(Progress("training", epoch, done, self.num_steps, batch_loss))

    def _require_finite(self, what: str, values: Iterable[Tensor], epoch: int, step: int) -> None:
        if not bool(torch.stack([value.isfinite().all() for value in values]).all()):
            raise Diverged(
                f"Diverged at epoch {epoch}, step {step}: the {what} is not a finite number; "
                f"lr {self.scenario.training.lr_at(epoch):g}. Lower training.lr and launch again."
            )

    def _check(self) -> None:
        if self.observer.should_stop():
            raise Stopped

    # -- evaluation

    def _validate(self, epoch: int) -> Evaluation:
        """Look at the validation data: for the policy at the model, to report at its average."""
        own = self._evaluate("validation", epoch)
        self.validation = class_errors(own, self.device)
        averages = self.method.average_decay is not None
        if averages and self.method.joins_average(epoch, self.validation):
            self.average.update(self.model)
        if self.average.is_empty:
            return own
        with self.average.applied(self.model):
            return self._evaluate("validation", epoch)

    def _evaluate(self, split: str, epoch: int) -> Evaluation:
        phase = "testing" if split == "test" else "validating"
        self.observer.on_progress(Progress(phase, epoch, self.num_steps, self.num_steps))
        images = self.data.test if split == "test" else self.data.validation
        found = find_mistakes(
            self.model,
            images,
            attack_of(self.scenario.evaluation, self.scenario.threat, split=split),
            batch_size=self.scenario.evaluation.batch_size,
            rng=torch_stream(self.seed, f"{split} attack", 0, self.device),
            check=self._check,
        )
        return count_by_class(found, images.labels, self.num_classes)

    def test(self) -> FinalReport:
        """Look at the test data, once."""
        epochs = self.scenario.training.epochs
        with self.average.applied(self.model):
            result = self._evaluate("test", epochs)
        card = card_of_test(self.scenario, self.data, averaged=not self.average.is_empty)
        return FinalReport(epochs, epochs * self.num_steps, result, card)

    # -- reports

    def _report(self, epoch: int, record: EpochRecord, validation: Evaluation) -> EpochReport:
        training, labels = self.scenario.training, self.data.train.labels
        columns = record.as_numpy()
        recorded = epoch % training.record_every == 0 or epoch == training.epochs
        return EpochReport(
            epoch=epoch,
            step=epoch * self.num_steps,
            measures={
                **record.means(),
                "learning_rate": training.lr_at(epoch),
                **self.method.diagnostics(),
            },
            validation=validation,
            class_measures=class_means(columns, labels, self.num_classes),
            class_counts=self.data.class_counts.tolist(),
            snapshot=self._snapshot(columns) if recorded else None,
            state=self.state(),
        )

    def _snapshot(self, columns: Columns) -> Snapshot:
        train, objective = self.data.train, self.method.objective
        given, true = train.labels, train.true_labels
        with self.average.applied(self.model):
            shown = gallery(self.learner, objective, train, self.train_images, columns)
        return Snapshot(
            columns={"sample": train.source, **columns},
            distributions=class_distributions(columns, given, true, self.num_classes),
            gallery=shown,
        )

    # -- state

    def state(self) -> dict[str, Tensor]:
        """Return a copy, on the CPU, of everything that has been learned so far, by name."""
        parts = {
            "model": self.model.state_dict(),
            "momentum": momentum_buffers(self.optimizer, self.model),
            "method": self.method.state(),
            "average": self.average.state(),
            "validation": vars(self.validation) if self.validation is not None else {},
        }
        state = {f"{part}.{name}": v for part, held in parts.items() for name, v in held.items()}
        state["class_loss"] = self.class_loss.last
        return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` returned."""
        state = {name: value.to(self.device, copy=True) for name, value in state.items()}
        self.model.load_state_dict(under("model.", state))
        load_momentum_buffers(self.optimizer, self.model, under("momentum.", state))
        self.method.load_state(under("method.", state))
        self.average.load_state(under("average.", state))
        self.class_loss.last = state["class_loss"]
        validation = under("validation.", state)
        self.validation = ClassErrors(**validation) if validation else None
