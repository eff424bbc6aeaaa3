"""All layouts of published weights that can be converted."""

from gcn.models.published import compressai_zoo
from gcn.models.published.neural_compression import AUTOENCODER
from gcn.models.published.vq_autoencoder import LABELLER

LAYOUTS = (AUTOENCODER, LABELLER, *compressai_zoo.LAYOUTS)
