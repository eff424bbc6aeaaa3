"""State dicts with the keys and shapes of published files and random numbers, from the tables of their layouts."""

import itertools
import math

import torch

P = 2.0**-36  # of CompressAI's GDN
INTS = torch.int32


def normal(shape, generator):
    """Weights that keep the variance, biases and scales of some tenths."""
    fan = math.prod(shape[1:]) if len(shape) > 1 else 1
    return torch.randn(shape, generator=generator) * (0.1 if len(shape) < 2 else fan**-0.5)


def norm(prefix, channels):
    return {f"{prefix}.gamma": (1, channels, 1, 1), f"{prefix}.beta": (1, channels, 1, 1)}


def conv(prefix, *shape, transposed=False):
    return {f"{prefix}.weight": shape, f"{prefix}.bias": (shape[1 if transposed else 0],)}


def density(prefix, channels, naming):
    """Parameters and quantiles of a factorised density; ``naming`` is that of CompressAI up to 1.2.4, or 1.2.8."""
    names = {"new": "{}.{}", "parameter list": "_{}.{}"}
    single = {"matrices": "matrix", "biases": "bias", "factors": "factor"}

    def name(kind, i):
        return f"{prefix}.{names[naming].format(kind, i) if naming in names else f'_{single[kind]}{i}'}"

    shapes = {f"{prefix}.quantiles": (channels, 1, 3)}
    for i, (inputs, outputs) in enumerate(itertools.pairwise((1, 3, 3, 3, 3, 1))):
        shapes[name("matrices", i)] = (channels, outputs, inputs)
        shapes[name("biases", i)] = (channels, outputs, 1)
        if i < 4:
            shapes[name("factors", i)] = (channels, outputs, 1)
    return shapes


def hific_shapes(width=60, M=220, hyper=320, blocks=9, naming="new"):
    """Parameters of NeuralCompression's HiFiCAutoencoder."""
    c = [width * 2**i for i in range(5)]
    shapes = conv("encoder.blocks.0.0", c[0], 3, 7, 7) | norm("encoder.blocks.0.1", c[0])
    for i in range(1, 5):
        shapes |= conv(f"encoder.blocks.{i}.0", c[i], c[i - 1], 3, 3) | norm(f"encoder.blocks.{i}.1", c[i])
    shapes |= conv("encoder.blocks.5", M, c[4], 3, 3)
    shapes |= (
        norm("decoder.block_0.0", M)
        | conv("decoder.block_0.1", c[4], M, 3, 3)
        | norm("decoder.block_0.2", c[4])
    )
    for i in range(blocks):
        for j in (0, 3):
            prefix = f"decoder.resid_blocks.{i}.sequence"
            shapes |= conv(f"{prefix}.{j}", c[4], c[4], 3, 3) | norm(f"{prefix}.{j + 1}", c[4])
    for i in range(4):
        shapes |= conv(f"decoder.blocks.{i}.0", c[4 - i], c[3 - i], 3, 3, transposed=True)
        shapes |= norm(f"decoder.blocks.{i}.1", c[3 - i])
    shapes |= conv("decoder.blocks.4", 3, c[0], 7, 7)
    shapes |= conv("hyper_analysis.0", hyper, M, 3, 3)
    shapes |= conv("hyper_analysis.2", hyper, hyper, 5, 5) | conv("hyper_analysis.4", hyper, hyper, 5, 5)
    for name in ("mean", "scale"):
        for i in (0, 2):
            shapes |= conv(f"hyper_synthesis_{name}.{i}", hyper, hyper, 5, 5, transposed=True)
        shapes |= conv(f"hyper_synthesis_{name}.4", M, hyper, 3, 3)
    return shapes | density("hyper_bottleneck", hyper, naming)


def buffers(factorised, gaussian, channels, tables):
    """Entries of CompressAI's entropy models that are no parameters; tables may be empty or filled."""
    found = {}
    for model in filter(None, (factorised, gaussian)):
        rows = channels if model == factorised else 64
        found[f"{model}._offset"] = torch.zeros(rows if tables else 0, dtype=INTS)
        found[f"{model}._quantized_cdf"] = torch.zeros((rows, 30) if tables else 0, dtype=INTS)
        found[f"{model}._cdf_length"] = torch.zeros(rows if tables else 0, dtype=INTS)
        found[f"{model}.likelihood_lower_bound.bound"] = torch.tensor([1e-9])
    tail = math.log(2 / 1e-9 - 1)
    found[f"{factorised}.target"] = torch.tensor([-tail, 0.0, tail])
    if gaussian:
        found[f"{gaussian}.scale_table"] = torch.linspace(0.11, 256, 64) if tables else torch.empty(0)
        found[f"{gaussian}.scale_bound"] = torch.tensor([0.11])
        found[f"{gaussian}.lower_bound_scale.bound"] = torch.tensor([0.11])
    return found


def filled(shapes, seed=0):
    """Random numbers of these shapes: norms near 1, densities as at the start of a training, raw scales above 0."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes.items():
        value = normal(shape, generator)
        if name.endswith("gamma") and len(shape) == 4:
            value = 1 + value
        elif name.endswith("quantiles"):
            value = torch.tensor([-9.0, 0.3, 10.0]).repeat(shape[0], 1, 1)
        elif any(part in name for part in ("matri", "_bias", "biases", "factor")) and "bottleneck" in name:
            value = value + (0.5 if "matri" in name else 0.0)
        elif name.startswith("hyper_synthesis_scale.4.bias") or name == "h_s.4.bias":
            value = value + 1
        found[name] = value
    return found


def hific(width=2, M=5, hyper=4, blocks=2, naming="new", tables=False, prefix="", seed=0):
    """State dict of a HiFiCAutoencoder, by default a slim one."""
    state = filled(hific_shapes(width, M, hyper, blocks, naming), seed)
    state |= buffers("hyper_bottleneck", "latent_bottleneck", hyper, tables)
    return {f"{prefix}{name}": value for name, value in state.items()}


def compressai_shapes(kind, N, M, naming="new"):
    """Parameters of bmshj2018-factorized, bmshj2018-hyperprior and mbt2018-mean."""
    shapes = {}
    for part, (first, last) in {"g_a": (3, M), "g_s": (M, 3)}.items():
        widths = [first, N, N, N, last]
        for i, (a, b) in enumerate(itertools.pairwise(widths)):
            sides = (a, b, 5, 5) if part == "g_s" else (b, a, 5, 5)
            shapes |= conv(f"{part}.{2 * i}", *sides, transposed=part == "g_s")
        for i in (1, 3, 5):
            shapes |= {f"{part}.{i}.beta": (N,), f"{part}.{i}.gamma": (N, N)}
    if kind != "bmshj2018-factorized":
        shapes |= conv("h_a.0", N, M, 3, 3) | conv("h_a.2", N, N, 5, 5) | conv("h_a.4", N, N, 5, 5)
        a, b, c = (M, M * 3 // 2, 2 * M) if kind == "mbt2018-mean" else (N, N, M)
        shapes |= conv("h_s.0", N, a, 5, 5, transposed=True) | conv("h_s.2", a, b, 5, 5, transposed=True)
        shapes |= conv("h_s.4", c, b, 3, 3)
    return shapes | density("entropy_bottleneck", M if kind == "bmshj2018-factorized" else N, naming)


def compressai(kind, N=4, M=6, naming="new", tables=False, prefix="", seed=0):
    """State dict of a model of CompressAI's zoo, by default slim; some of GDN's parameters are at their bounds."""
    state = filled(compressai_shapes(kind, N, M, naming), seed)
    generator = torch.Generator().manual_seed(seed)
    for name in [name for name in state if name.endswith((".beta", ".gamma"))]:
        value = torch.rand(state[name].shape, generator=generator)
        value = value + 0.5 if name.endswith("beta") else 0.3 * value - 0.05  # some γ below the bound
        if name.endswith("beta"):
            value[0] = 1e-4
        state[name] = value
        for kind_, bound in (("beta", (1e-6 + P) ** 0.5), ("gamma", P**0.5)):
            if name.endswith(kind_):
                state[f"{name}_reparam.pedestal"] = torch.tensor([P])
                state[f"{name}_reparam.lower_bound.bound"] = torch.tensor([bound])
    channels = M if kind == "bmshj2018-factorized" else N
    gaussian = None if kind == "bmshj2018-factorized" else "gaussian_conditional"
    state |= buffers("entropy_bottleneck", gaussian, channels, tables)
    return {f"{prefix}{name}": value for name, value in state.items()}


ZOO = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean")


def vq_shapes(ch=64, codes=1024):
    """Parameters of NeuralCompression's VqVaeXCiTAutoencoder, of its decoder only the first layer."""
    c = [ch, ch, 2 * ch, 2 * ch, 4 * ch]

    def residual(prefix, inputs, outputs):
        found = norm(f"{prefix}.norm1", inputs) | conv(f"{prefix}.conv1", outputs, inputs, 3, 3)
        found |= norm(f"{prefix}.norm2", outputs) | conv(f"{prefix}.conv2", outputs, outputs, 3, 3)
        return found | (conv(f"{prefix}.nin_shortcut", outputs, inputs, 1, 1) if inputs != outputs else {})

    def attention(prefix, n):
        found = norm(f"{prefix}.norm", n) | {f"{prefix}.xca.temperature": (1, 1, 1)}
        return found | conv(f"{prefix}.xca.qkv", 3 * n, n) | conv(f"{prefix}.xca.proj", n, n)

    shapes = conv("encoder.conv_in", ch, 3, 3, 3)
    for i in range(4):
        for j in range(2):
            shapes |= residual(f"encoder.down.{i}.block.{j}", c[i + 1] if j else c[i], c[i + 1])
        if i == 3:
            shapes |= attention("encoder.down.3.attn.0", c[4]) | attention("encoder.down.3.attn.1", c[4])
        else:
            shapes |= conv(f"encoder.down.{i}.downsample.conv", c[i + 1], c[i + 1], 3, 3)
    shapes |= residual("encoder.mid.0", c[4], c[4]) | attention("encoder.mid.1", c[4])
    shapes |= residual("encoder.mid.2", c[4], c[4])
    shapes |= norm("encoder.norm_out", c[4]) | conv("encoder.conv_out", 256, c[4], 3, 3)
    shapes |= conv("decoder.conv_in", c[4], 256, 3, 3)
    shapes |= conv("bottleneck_op.input_conv", 8, 256, 1, 1) | conv("bottleneck_op.output_conv", 256, 8, 1, 1)
    return shapes | {"bottleneck_op.child.child.codebooks.0": (codes, 8)}


def vq(ch=4, codes=16, prefix="", seed=0):
    """State dict of a VqVaeXCiTAutoencoder, by default a slim one; its codes have different lengths."""
    state = filled(vq_shapes(ch, codes), seed)
    state["bottleneck_op.child.child.codebooks.0"] *= torch.linspace(0.1, 5, codes)[:, None]
    child = "bottleneck_op.child.child"
    state[f"{child}.codebook_hits_0"] = torch.zeros(codes, dtype=torch.int64)
    state |= {f"{child}.{name}": torch.zeros(1) for name in ("perplexities", "max_hits", "percentage_hits")}
    return {f"{prefix}{name}": value for name, value in state.items()}
