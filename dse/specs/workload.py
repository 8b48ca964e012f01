"""What users ask for: lengths of input and output, as means or as a mix."""

import equinox as eqx

from dse.specs.schema import number, sequence


class Request(eqx.Module):
    """One kind of request of a mix."""

    share: float = number("share of requests", positive=True)
    input_tokens: float = number("prompt")
    output_tokens: float = number("generated", positive=True)


class Workload(eqx.Module):
    """Lengths of a mix of requests, and how much is kept free for paging and workspace."""

    requests: list[Request] = sequence(Request)
    batch: float = number("sequences in flight unless the deployment says otherwise", positive=True)
    reserve_fraction: float = number("memory kept for paging waste and workspace")
    context_tokens: float | None = number(
        "mean KV tokens read per step; unset: from the requests", optional=True
    )
    length_variation: float | None = number(
        "standard deviation over mean of the lengths in a batch; unset: from the requests",
        optional=True,
    )
