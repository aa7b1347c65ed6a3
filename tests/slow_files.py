"""The files of tests that take longest, the longest first.

They begin first, so that processes that run tests side by side end together. The order need not be
exact: a file is moved here that takes more than ten seconds, or away.
"""

FIRST = (
    "tests/test_docs.py",
    "tests/compiler/test_large.py",
    "tests/cli/test_compare.py",
    "tests/cli/test_commands.py",
    "tests/kernels/test_llvm_threads.py",
    "tests/layers/test_autograd.py",
    "tests/layers/test_compile.py",
    "tests/training/test_processes.py",
    "tests/test_contributing.py",
    "tests/tasks/test_run.py",
    "tests/tasks/test_caption_videos.py",
    "tests/kernels/test_llvm.py",
    "tests/kernels/test_llvm_fuzz.py",
    "tests/training/test_page.py",
    "tests/cli/test_bad_input.py",
    "tests/cli/test_resume.py",
    "tests/kernels/test_llvm_cache.py",
    "tests/tasks/test_several_series.py",
    "tests/comparing/test_study.py",
    "tests/layers/test_grid.py",
    "tests/layers/test_packages.py",
    "tests/kernels/test_llvm_planted.py",
    "tests/networks/test_stored_files.py",
    "tests/layers/test_drop_in.py",
    "tests/cli/test_run_commands.py",
    "tests/layers/test_checkpoint.py",
    "tests/inside/test_look.py",
    "tests/cli/test_signals.py",
    "tests/kernels/test_llvm_machines.py",
    "tests/layers/test_reset.py",
    "tests/layers/test_lengths.py",
)
