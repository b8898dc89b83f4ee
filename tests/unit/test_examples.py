"""The examples in docstrings run as they are written."""

PROGRAM = """
    import doctest, importlib, pathlib, sys
    import shoal
    root = pathlib.Path(shoal.__file__).parent
    # The example of task_error is found in shoal.exceptions, which its class belongs to.
    skip = ("runtime/node.py", "runtime/zygote.py", "compat/", "__main__.py", "task_error.py")
    tried = 0
    for path in sorted(root.rglob("*.py")):
        inner = str(path.relative_to(root.parent))
        if any(word in inner for word in skip) or ">>>" not in path.read_text():
            continue
        name = inner.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        module = importlib.import_module(name)
        result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.REPORT_NDIFF)
        assert not result.failed, name
        assert result.attempted, f"{name}: its examples are not found"
        tried += result.attempted
    assert tried > 100, tried
"""


def test_examples(shoal_run):
    shoal_run(PROGRAM)
