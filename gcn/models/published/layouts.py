"""All layouts of published weights that can be converted."""

from gcn.models.published import compressai_zoo, neural_compression

LAYOUTS = (*neural_compression.LAYOUTS, *compressai_zoo.LAYOUTS)
