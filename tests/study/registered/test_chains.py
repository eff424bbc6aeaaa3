"""Holm's method over chains against the graphical procedure that it is, and its error rate in the worst case."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn.study.registered.chains import adjusted
from gcn.study.reports.statistics import effect, holm

P = st.sampled_from([0.0005, 0.001, 0.004, 0.006, 0.01, 0.02, 0.03, 0.04, 0.06, 0.5])
CHAINS = st.lists(st.lists(P, min_size=1, max_size=3), min_size=1, max_size=5)


def graph(chains, alpha):
    """Rejected steps by the algorithm of Bretz et al. (2009), with weights and a matrix of edges."""
    nodes = [(c, s) for c, steps in enumerate(chains) for s in range(len(steps))]
    p = [chains[c][s] for c, s in nodes]
    weight = np.array([float(s == 0) / len(chains) for _, s in nodes])
    edge = np.zeros((len(nodes),) * 2)
    for i, (c, s) in enumerate(nodes):
        if s + 1 < len(chains[c]):
            edge[i, nodes.index((c, s + 1))] = 1
        else:
            for j, (other, step) in enumerate(nodes):
                if other != c and step == 0:
                    edge[i, j] = 1 / (len(chains) - 1)
    left, rejected = set(range(len(nodes))), set()
    while found := [i for i in left if p[i] <= alpha * weight[i] + 1e-12]:
        i = found[0]
        left.remove(i)
        rejected.add(nodes[i])
        new = np.zeros_like(edge)
        for k in left:
            weight[k] += weight[i] * edge[i, k]
            for m in left - {k}:
                loop = edge[k, i] * edge[i, k]
                new[k, m] = (edge[k, m] + edge[k, i] * edge[i, m]) / (1 - loop) if loop < 1 else 0
        weight[i], edge = 0, new
    return rejected


@settings(max_examples=150, deadline=None)
@given(CHAINS)
def test_it_is_the_graphical_procedure(chains):
    found = adjusted({str(c): steps for c, steps in enumerate(chains)})
    ours = {(int(c), s) for c, own in found.items() for s, p in enumerate(own) if p <= 0.05 + 1e-12}
    assert ours == graph(chains, 0.05)


def test_chains_of_one_step_are_holms_method():
    rng = np.random.default_rng(0)
    effects = holm([effect("", "", dict(enumerate(rng.normal(m, 1, 6)))) for m in (3, 0, 1, 2)])
    found = adjusted({str(i): [e.p] for i, e in enumerate(effects)})
    assert [found[str(i)][0] for i in range(4)] == pytest.approx([e.corrected for e in effects])


def test_a_share_is_handed_on_only_at_the_end_of_a_chain():
    assert adjusted({"a": [0.001, 0.01], "b": [0.04]}) == {"a": [0.002, 0.02], "b": [0.04]}
    assert adjusted({"a": [0.001, 0.03], "b": [0.04]}) == {"a": [0.002, 0.06], "b": [0.06]}


def test_error_rate_where_first_steps_are_certain_and_all_second_steps_are_null():
    """Nine chains: the second steps share the whole error rate among them, and no more."""
    rng = np.random.default_rng(1)
    studies = 3000
    wrong = sum(
        any(own[1] <= 0.05 for own in adjusted({str(i): [1e-9, p] for i, p in enumerate(row)}).values())
        for row in rng.uniform(size=(studies, 9))
    )
    exact = 1 - (1 - 0.05 / 9) ** 9
    assert wrong / studies == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / studies))
