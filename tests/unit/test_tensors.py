"""PyTorch's tensors, where PyTorch is there."""

import pytest

from shoal.core.serialization import deserialize, serialize

torch = pytest.importorskip("torch")
# It starts others when it first needs them, and keeps them.
torch.set_num_threads(1)


def there_and_back(value, writable=False):
    pickled, buffers = serialize(value)
    kind = bytearray if writable else bytes
    return pickled, deserialize(pickled, [memoryview(kind(buffer.raw())) for buffer in buffers])


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(1000.0),
        torch.arange(1000).reshape(10, 100).T,
        torch.arange(1000)[::3],
        torch.ones(1000, dtype=torch.bfloat16),
        torch.ones(1000, dtype=torch.bool),
        torch.ones(500, dtype=torch.complex64),
        torch.tensor(5),
        torch.empty(0, 3),
        torch.arange(5).expand(200, 5),
    ],
    ids=lambda tensor: f"{tensor.dtype} {tuple(tensor.shape)}",
)
def test_the_numbers_leave_out_of_band_and_what_arrives_is_private(tensor):
    pickled, again = there_and_back(tensor)
    assert len(pickled) < 300
    assert again.dtype == tensor.dtype and torch.equal(again, tensor)
    if again.numel():
        again.zero_()


def test_a_slice_takes_only_itself_along():
    _, buffers = serialize(torch.arange(10_000)[:10])
    assert sum(buffer.raw().nbytes for buffer in buffers) == 80


def test_memory_that_may_be_written_to_is_not_copied():
    pickled, buffers = serialize(torch.zeros(1000))
    memory = bytearray(buffers[0].raw())
    deserialize(pickled, [memory])[0] = 1
    assert any(memory[:4])


def test_what_is_more_than_numbers_goes_as_pytorch_does_it():
    leaf = torch.ones(3, requires_grad=True)
    assert there_and_back(leaf)[1].requires_grad
    sparse = torch.eye(3).to_sparse()
    assert torch.equal(there_and_back(sparse)[1].to_dense(), torch.eye(3))
    named = torch.ones(2)
    named.label = "x"
    assert there_and_back(named)[1].label == "x"
    conjugate = torch.tensor([1j]).conj()
    assert torch.equal(there_and_back(conjugate)[1], conjugate)


def test_a_module_keeps_shared_parameters_shared():
    model = torch.nn.Sequential(torch.nn.Linear(50, 50), torch.nn.Linear(50, 50))
    model[1].weight = model[0].weight
    _, again = there_and_back(model)
    assert again[1].weight is again[0].weight and again[0].weight.requires_grad
    x = torch.ones(50)
    assert torch.equal(again(x), model(x))
