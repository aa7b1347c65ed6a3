"""The files of tests that take longest, the longest first.

They begin first, so that processes that run tests side by side end together. The order need not be
exact: a file is moved here that takes more than five seconds, or away.
"""

FIRST = (
    "tests/test_docs.py",
    "tests/training/test_page.py",
    "tests/tasks/test_run.py",
    "tests/layers/test_compile.py",
    "tests/test_contributing.py",
    "tests/cli/test_resume.py",
    "tests/cli/test_commands.py",
    "tests/kernels/test_llvm.py",
    "tests/cli/test_bad_input.py",
    "tests/cli/test_compare.py",
    "tests/layers/test_autograd.py",
    "tests/tasks/test_caption_videos.py",
    "tests/kernels/test_llvm_threads.py",
    "tests/kernels/test_llvm_cache.py",
    "tests/compiler/test_large.py",
    "tests/training/test_processes.py",
    "tests/cli/test_run_commands.py",
    "tests/kernels/test_llvm_fuzz.py",
    "tests/serving/test_serve.py",
    "tests/tasks/test_speak.py",
    "tests/kernels/test_llvm_planted.py",
    "tests/tasks/test_several_series.py",
    "tests/kernels/test_llvm_long.py",
    "tests/kernels/test_walk.py",
    "tests/test_imports.py",
    "tests/layers/test_grid.py",
    "tests/layers/test_packages.py",
    "tests/kernels/test_llvm_machines.py",
    "tests/tasks/test_updating.py",
    "tests/tasks/test_forecast_stream.py",
    "tests/networks/test_stored_files.py",
    "tests/tasks/test_latent.py",
    "tests/tasks/test_smoothing.py",
    "tests/cli/test_search.py",
)
