"""The list of mutations fits the source: each text stands exactly once, each test file exists."""

from pathlib import Path

import pytest

from tests.mutations.mutation import PACKAGE, ROOT, Mutation, MutationError, chosen, read_list

MUTATIONS = read_list()


def test_every_text_stands_exactly_once_and_is_changed() -> None:
    wrong = []
    for mutation in MUTATIONS:
        try:
            path = ROOT / mutation.file(ROOT)
        except MutationError as error:
            wrong.append(str(error))
            continue
        source = path.read_text(encoding="utf-8")
        assert mutation.planted(source) != source, mutation
        if path.suffix == ".py":  # a page's style is no Python
            compile(mutation.planted(source), path, "exec")
    assert not wrong, "\n".join(wrong)


def test_every_file_of_tests_exists() -> None:
    named = {path for mutation in MUTATIONS for path in mutation.test_files}
    assert not [path for path in sorted(named) if not (ROOT / path).is_file()]
    assert all(mutation.tests and mutation.law for mutation in MUTATIONS)


def test_there_are_mutations_of_every_area() -> None:
    assert len(MUTATIONS) >= 60
    areas = {"cells", "compiler", "kernels", "layers", "tasks", "training", "networks", "data"}
    assert {mutation.area for mutation in MUTATIONS} >= areas


def test_a_text_that_is_gone_or_stands_twice_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = tmp_path / PACKAGE / "layers"
    folder.mkdir(parents=True)
    mutation = Mutation(7, "layers", "a + b", "a - b", "Sums are sums.", ("tests/x.py",))
    (folder / "one.py").write_text("c = a - b\n")
    with pytest.raises(MutationError, match=r"7 layers: Sums are sums.*'a \+ b' stands 0 times"):
        mutation.file(tmp_path)
    (folder / "two.py").write_text("c = a + b\n")
    assert mutation.file(tmp_path) == PACKAGE / "layers" / "two.py"
    (folder / "one.py").write_text("d = a + b\n")
    with pytest.raises(MutationError, match=r"2 times in .*one\.py, .*two\.py"):
        mutation.file(tmp_path)


def test_some_are_chosen_by_number_slice_and_area() -> None:
    assert chosen(MUTATIONS, []) == MUTATIONS
    assert chosen(MUTATIONS, ["2:4", "1"]) == MUTATIONS[1:4]
    assert {mutation.area for mutation in chosen(MUTATIONS, ["layers"])} == {"layers"}
    for wrong in ("900:", "nothing", "1000"):
        with pytest.raises(MutationError, match="names no mutation"):
            chosen(MUTATIONS, [wrong])
