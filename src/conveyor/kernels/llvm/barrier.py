"""How the threads of a pass wait for each other.

libgomp's own barrier spins for milliseconds before it lets go of the processor. If another process
computes on the same cores, the thread that is waited for may be one that waits for this processor:
then every barrier, one or more a step, takes such a while, and two trainings side by side take a
hundred times as long each instead of twice (``benchmarks/neighbours.py`` measures it). This one
spins for some microseconds and then gives way at every look.
"""

from llvmlite import ir

from conveyor.kernels.llvm.builder import INT, INT32, POINTER, VOID, Code, Module
from conveyor.kernels.memory import LINE

# How many have come, and how often all had.
ARRIVED, PASSED = 0, 1
BARRIER_BYTES = LINE
# int sched_yield(void)
GIVE_WAY_TYPE = ir.FunctionType(INT32, [])
# Looks before giving way, a pause of 20 to 140 cycles between each: longer than threads that were
# sent off together mostly wait. Beside a second process on the same two cores a training step
# (LSTM, T 100, B 16, H 512) took 96 to 112 ms with 20 to 200 looks, 127 with 500, 255 with 20,000;
# alone some 40 with each.
LOOKS = 100


def write_barrier(module: Module) -> ir.Function:
    """Write the function that waits until all threads have come. It takes ``BARRIER_BYTES`` of
    memory that were 0 before the first time, how many threads there are, and the address of what
    gives way."""
    arguments = [("place", POINTER), ("threads", INT), ("give_way", POINTER)]
    code = Code(module, "barrier", arguments, private=True)
    code.function.attributes.add("noinline")
    build, place = code.build, code.arguments["place"]
    arrived, passed = (code.at(place, number, INT) for number in (ARRIVED, PASSED))
    this = build.load_atomic(passed, "acquire", 8, typ=INT)
    before = build.atomic_rmw("add", arrived, ir.Constant(INT, 1), "acq_rel")
    last = code.compare("==", code.add(before, 1), code.arguments["threads"])
    with code.choose(last) as (yes, no):
        with yes:
            build.atomic_rmw("xchg", arrived, ir.Constant(INT, 0), "monotonic")
            build.atomic_rmw("add", passed, ir.Constant(INT, 1), "release")
        with no:
            looks = code.variable(code.add(0))
            look, over = (code.function.append_basic_block(name) for name in ("look", "over"))
            build.branch(look)
            build.position_at_end(look)
            now = build.load_atomic(passed, "acquire", 8, typ=INT)
            wait = code.function.append_basic_block("wait")
            build.cbranch(code.compare("==", now, this), wait, over)
            build.position_at_end(wait)
            with code.choose(code.compare("<", code.get(looks), LOOKS)) as (soon, late):
                with soon:
                    code.set(looks, code.add(code.get(looks), 1))
                    _pause(code)
                with late:
                    code.call_address(code.arguments["give_way"], GIVE_WAY_TYPE, [])
            build.branch(look)
            build.position_at_end(over)
    code.finish()
    return code.function


def _pause(code: Code) -> None:
    """Tell the processor that this is a loop that waits."""
    module = code.module
    match module.machine.family:
        case "x86":
            code.build.call(module.intrinsic("llvm.x86.sse2.pause", VOID, []), [])
        case "arm":
            hint = module.intrinsic("llvm.aarch64.hint", VOID, [INT32])
            code.build.call(hint, [ir.Constant(INT32, 1)])  # YIELD
