"""Licences of the published weights that can be converted."""

from gcn.models.published.conversion import Licence

CC_BY_NC = Licence(
    "CC-BY-NC-4.0", "no commercial use; name the authors, Muckley et al. 2023, and your changes", ask=True
)
BSD_CLEAR = Licence(
    "BSD-3-Clause-Clear",
    "free to use with the copyright notice of CompressAI; it grants no patent rights",
    ask=False,
)
