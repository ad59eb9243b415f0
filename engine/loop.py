"""train(scenario, observer): the only place that knows epochs."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.attack import TrainingAttack
from engine.backbone import Classifier, channel_statistics
from engine.characteristics import NAMES, Characteristics, ClassLoss, characteristics
from engine.dataset import Data, prepare
from engine.errors import Diverged, Stopped
from engine.evaluate import Evaluation, EvaluationCard, attack_of, evaluate
from engine.gallery import gallery
from engine.method import ClassErrors, Learner, Step
from engine.objective import per_sample_losses
from engine.observer import EpochReport, FinalReport, Observer, Progress, RunFacts, Snapshot
from engine.optimise import set_lr
from engine.runtime import configure, device_name, versions
from engine.scenario import Scenario
from engine.seeds import initialising, torch_stream
from engine.summary import ASSIGNMENT, class_distributions, class_means
from engine.types import Assignment, Batch, under

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
        Diverged: The loss is not a finite number.
        UserError: The data are missing.
    """
    configure(device, scenario.training.num_threads)
    data = prepare(scenario.data, scenario.seed, data_folder)
    trainer = Trainer(scenario, data, observer, device)
    observer.on_start(trainer.facts(), trainer.samples())
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
            num_classes=self.num_classes,
            meta=meta.batch(torch.arange(len(meta), device=device)),
        )
        self.method = scenario.method.build(self.learner)
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
        self.class_loss.end_epoch()
        validation = self._evaluate("validation", epoch)
        self.validation = class_errors(validation, self.device)
        return self._report(epoch, record, validation)

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
        probabilities, traits = self._clean_view(batch)
        assignment = self.method.assign(batch, traits)
        copies = self.attack(batch, probabilities, assignment.bound, objective)
        losses = per_sample_losses(self.model, batch, copies, objective)
        if self.method.learn(Step(batch, traits, copies, losses, epoch, number)):
            assignment = self.method.assign(batch, traits)
        loss = (assignment.weights * losses).sum(dim=1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return batch, assignment, traits, losses.detach()

    def _clean_view(self, batch: Batch) -> tuple[Tensor | None, Characteristics | None]:
        """Look at the clean images once, in eval mode: p(x), and the characteristics."""
        objective = self.method.objective
        if not objective.characteristics:
            needed = objective.adversary_loss == "kl"
            return (self.learner.probabilities(batch.x) if needed else None), None
        probabilities = self.learner.probabilities(batch.x)
        traits = characteristics(
            probabilities.log(),
            batch.y,
            class_loss=self.class_loss.last,
            class_counts=self.class_counts,
        )
        self.class_loss.add(traits.loss, batch.y)
        return probabilities, traits

    def _tell(self, epoch: int, done: int, record: "EpochRecord") -> None:
        """Tell the progress, and the mean batch loss ten times an epoch."""
        batch_loss = None
        if done * TOLD_PER_EPOCH // self.num_steps > (done - 1) * TOLD_PER_EPOCH // self.num_steps:
            batch_loss = record.loss_since_told()
            if not np.isfinite(batch_loss):
                raise Diverged(
                    f"Diverged at epoch {epoch}, step {done}: loss is {batch_loss}; "
                    f"lr {self.scenario.training.lr_at(epoch):g}. Lower training.lr and launch again."
                )
        self.observer.on_progress(Progress("training", epoch, done, self.num_steps, batch_loss))

    def _check(self) -> None:
        if self.observer.should_stop():
            raise Stopped

    # -- evaluation

    def _evaluate(self, split: str, epoch: int) -> Evaluation:
        phase = "testing" if split == "test" else "validating"
        self.observer.on_progress(Progress(phase, epoch, self.num_steps, self.num_steps))
        return evaluate(
            self.model,
            self.data.test if split == "test" else self.data.validation,
            attack_of(self.scenario.evaluation, self.scenario.threat, split=split),
            num_classes=self.num_classes,
            batch_size=self.scenario.evaluation.batch_size,
            rng=torch_stream(self.seed, f"{split} attack", 0, self.device),
            check=self._check,
        )

    def test(self) -> FinalReport:
        """Look at the test data, once."""
        epochs = self.scenario.training.epochs
        result = self._evaluate("test", epochs)
        return FinalReport(epochs, epochs * self.num_steps, result, self._card())

    def _card(self) -> EvaluationCard:
        attack = attack_of(self.scenario.evaluation, self.scenario.threat, split="test")
        return EvaluationCard(
            attack=self.scenario.evaluation.attack,
            loss="cross-entropy",
            norm=self.scenario.threat.norm,
            epsilon=attack.epsilon,
            step_size=attack.step_size,
            num_steps=attack.num_steps,
            restarts=1,
            start="uniform",
            split="test",
            n=len(self.data.test),
            subset=self.scenario.data.test_size is not None,
            batch_norm="eval",
            checkpoint="last epoch",
            seed=self.seed,
            versions=versions(),
        )

    # -- reports

    def _report(self, epoch: int, record: "EpochRecord", validation: Evaluation) -> EpochReport:
        training = self.scenario.training
        columns = {name: column.cpu().numpy() for name, column in record.columns.items()}
        labels = self.data.train.labels
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

    def _snapshot(self, columns: dict[str, np.ndarray]) -> Snapshot:  # type: ignore[type-arg]
        train = self.data.train
        return Snapshot(
            columns={"sample": train.source, **columns},
            distributions=class_distributions(
                columns, train.labels, train.true_labels, self.num_classes
            ),
            gallery=gallery(
                self.learner, self.method.objective, train, self.train_images, columns
            ),
        )

    def facts(self) -> RunFacts:
        """Return what is known before the first step."""
        data, training = self.data, self.scenario.training
        return RunFacts(
            class_names=data.class_names,
            class_counts=data.class_counts.tolist(),
            true_class_counts=np.bincount(
                data.train.true_labels, minlength=self.num_classes
            ).tolist(),
            num_train=len(data.train),
            num_meta=len(data.meta),
            num_validation=len(data.validation),
            num_test=len(data.test),
            flipped_labels=int((data.train.labels != data.train.true_labels).sum()),
            num_parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            device=str(self.device),
            device_name=device_name(self.device),
            num_threads=training.num_threads,
            memory_format="contiguous",
            cpu_capability=torch.backends.cpu.get_cpu_capability(),
            data_digest=data.digest(),
            steps_per_epoch=self.num_steps,
            versions=versions(),
        )

    def samples(self) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
        """Return who the training samples are, in the order of every per-sample array."""
        train = self.data.train
        return {
            "sample": train.source,
            "given_label": train.labels,
            "true_label": train.true_labels,
        }

    # -- state

    def state(self) -> dict[str, Tensor]:
        """Return everything that has been learned so far, by name."""
        state = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            buffer = self.optimizer.state[parameter].get("momentum_buffer")
            if buffer is not None:
                state[f"momentum.{name}"] = buffer
        state |= {f"method.{name}": value for name, value in self.method.state().items()}
        state["class_loss"] = self.class_loss.last
        if self.validation is not None:
            state["validation.natural"] = self.validation.natural
            state["validation.boundary"] = self.validation.boundary
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` returned."""
        state = {name: value.to(self.device) for name, value in state.items()}
        self.model.load_state_dict(under("model.", state))
        buffers = under("momentum.", state)
        for name, parameter in self.model.named_parameters():
            if name in buffers:
                self.optimizer.state[parameter]["momentum_buffer"] = buffers[name].clone()
        self.method.load_state(under("method.", state))
        self.class_loss.last = state["class_loss"].clone()
        validation = under("validation.", state)
        self.validation = ClassErrors(**validation) if validation else None


class EpochRecord:
    """What happened to each sample in one epoch, kept on the device until its end."""

    def __init__(self, num_samples: int, device: torch.device) -> None:
        self.columns: dict[str, Tensor] = defaultdict(
            lambda: torch.zeros(num_samples, device=device)
        )
        self._losses: list[Tensor] = []
        self._terms: list[Tensor] = []
        self._told = 0

    def add(
        self,
        batch: Batch,
        assignment: Assignment,
        traits: Characteristics | None,
        losses: Tensor,
    ) -> None:
        """Keep one batch's assignment, characteristics and losses (B, 3)."""
        weights = assignment.weights
        values = (*weights.unbind(dim=1), assignment.bound)
        for name, value in zip(ASSIGNMENT, values, strict=True):
            self.columns[name][batch.index] = value
        for name in NAMES if traits is not None else ():
            self.columns[name][batch.index] = getattr(traits, name)
        self._losses.append((weights * losses).sum(dim=1).mean())
        self._terms.append(losses.mean(dim=0))

    def loss_since_told(self) -> float:
        """Return the mean loss of the batches since the last call: one wait for the device."""
        recent = torch.stack(self._losses[self._told :])
        self._told = len(self._losses)
        return recent.mean().item()

    def means(self) -> dict[str, float]:
        """Return the epoch's mean loss, terms and weights by name."""
        terms = torch.stack(self._terms).mean(dim=0)
        means = {
            "loss": torch.stack(self._losses).mean(),
            "clean_loss": terms[0],
            "adversary_loss": terms[1],
            "anti_adversary_loss": terms[2],
            **{name: self.columns[name].mean() for name in ASSIGNMENT},
        }
        return {name: value.item() for name, value in means.items()}


def class_errors(evaluation: Evaluation, device: torch.device) -> ClassErrors:
    """Return errors as shares per class, (C,) each; a class without samples has 0."""
    count = np.maximum(evaluation.count, 1)
    return ClassErrors(
        natural=torch.from_numpy(evaluation.natural / count).float().to(device),
        boundary=torch.from_numpy(evaluation.boundary / count).float().to(device),
    )
