"""Where an attack moves images: in pixels or, as CAAT was released, behind the normalisation."""

from torch import Tensor, nn

from engine.models.classifier import Classifier


class PixelSpace(nn.Module):
    """A model of images in [0, 1], with the way from pixels into its space and back: none."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x)
        return logits

    def enter(self, x: Tensor) -> Tensor:
        """Return images in [0, 1] as this space has them."""
        return x

    def leave(self, x: Tensor) -> Tensor:
        """Return images of this space as the model with all its layers reads them, in pixels."""
        return x


class NormalisedSpace(PixelSpace):
    """A classifier without its first layer, of images (x - mean) / std.

    An attack that is given this model and images that have entered applies radius, step and its
    clip to [0, 1] to normalised tensors, as the released code of CAAT does. There they are no
    pixels: a radius of epsilon is epsilon std of each channel, and the clip makes every pixel below
    the channel's mean the mean, and every one above mean + std that, however small epsilon is.
    """

    model: Classifier

    def __init__(self, model: nn.Module) -> None:
        assert isinstance(model, Classifier)
        super().__init__(model)

    def forward(self, x: Tensor) -> Tensor:
        return self.model.logits_of_normalised(x)

    def enter(self, x: Tensor) -> Tensor:
        return self.model.normalised(x)

    def leave(self, x: Tensor) -> Tensor:
        return x * self.model.std + self.model.mean


SPACES = {"pixels": PixelSpace, "normalised": NormalisedSpace}
