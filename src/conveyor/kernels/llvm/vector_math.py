"""exp, sigmoid, tanh and log on vectors, as straight code: no branches, tables or calls.

Each takes its argument apart by a multiple of ln 2, so that a short polynomial is enough, and
puts the power of two back through the bits of the exponent. Greatest errors, in units of the last
place of the result (ulp):

            float32  float64
    exp     1.1      1.1
    sigmoid 2        2
    tanh    2        2
    log     1        1

They hold with and without a fused multiply-add (for float32 every number was tried with both, on
x86; for float64 tens of millions). NaN gives NaN. Numbers below the smallest normal one count as
zero, given or due: the kernels run on processors told to do the same.

The order and scale of the steps matter for these bounds: where a comment gives a reason for
them, the plainer form was measured and is worse.

Coefficients are minimax polynomials by Remez exchange, with 50 digits and the extremes sought on
601 Chebyshev points; on |r| ≤ (1 + 2**-10) ln(2)/2 unless said otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from conveyor.kernels.llvm.builder import Code

LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
# ln 2 less the number above.
LN_2_BEYOND = 2.3190468138462996e-17


@dataclass(frozen=True)
class _Format:
    """What the functions must know of a type of numbers."""

    # Digits of the significand that are stored, and what is added to exponents.
    digits: int
    bias: int
    # ln 2 in two parts. The first has so few digits that any exponent times it is exact, also
    # where multiplication and addition round twice.
    ln2_high: float
    ln2_low: float
    # The bits of √½.
    root_half: int
    # The least argument whose exp is normal, and the greatest whose exp is finite.
    exp_from: float
    exp_to: float
    # Beyond these sigmoid is 0 or 1, and tanh 1; and powers of two have exponents within them.
    sigmoid_from: float
    sigmoid_to: float
    tanh_to: float
    # (exp(r) - 1 - r) / r², for the least relative error of exp(r).
    exp: Sequence[float]
    # ((r/2) coth(r/2) - 1) / r², in r², for the least relative error of the exp(r) it gives.
    coth: Sequence[float]
    # (2 atanh(s) - 2 s) / s³, in s², |s| ≤ (1 + 2**-10) (√2 - 1) / (√2 + 1), for the least
    # absolute error of that times s²/2.
    atanh: Sequence[float]

    @property
    def shifter(self) -> float:
        """Added to a number, it leaves the nearest integer in the last bits."""
        return 1.5 * 2.0**self.digits


_SINGLE = _Format(
    digits=23,
    bias=127,
    ln2_high=0.693145751953125,
    ln2_low=1.4286068203094173e-06,
    root_half=0x3F3504F3,
    exp_from=-87.33654022216797,
    exp_to=88.72283172607422,
    sigmoid_from=-88.3,
    sigmoid_to=86.0,
    tanh_to=9.4,
    exp=(
        0.4999999341360606,
        0.16666520118468645,
        0.04166839398811855,
        0.00836877903438782,
        0.0013814474644358104,
    ),
    coth=(0.08333308759652981, -0.0013829821302264569),
    atanh=(0.666667770373883, 0.39977451694235044, 0.29874355997106855),
)

_DOUBLE = _Format(
    digits=52,
    bias=1023,
    ln2_high=0.6931471805598903,
    ln2_low=5.497923018708371e-14,
    root_half=0x3FE6A09E667F3BCD,
    exp_from=-708.3964185322641,
    exp_to=709.782712893384,
    sigmoid_from=-709.3,
    sigmoid_to=708.0,
    tanh_to=20.0,
    exp=(
        0.5,
        0.16666666666666682,
        0.04166666666666609,
        0.00833333333331692,
        0.001388888888911726,
        0.00019841269896674817,
        2.4801586924589427e-05,
        2.7557234565228918e-06,
        2.755758282445394e-07,
        2.5112142153116365e-08,
        2.08265234059106e-09,
    ),
    coth=(
        0.08333333333333277,
        -0.0013888888888344247,
        3.3068781240740984e-05,
        -8.266917577910041e-07,
        2.0679883218355145e-08,
    ),
    atanh=(
        0.6666666666666735,
        0.3999999999940767,
        0.28571428744098915,
        0.22222198383092645,
        0.18183574912172748,
        0.1531376258250845,
        0.1479899447218871,
    ),
)

# Sigmoid divides numbers of this size. With it they stay in the upper part of [2, 4), where
# rounding is least in proportion; and the divisor overflows, so that sigmoid is 0, only where
# the result would be less than the smallest normal number.
_SIGMOID_SCALE = 3.3125


def _format(code: Code) -> _Format:
    return _DOUBLE if code.module.double else _SINGLE


def _polynomial(code: Code, x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
    """The first coefficient + the second x + the third x² + ...

    In pairs, for a short chain; but the first coefficient, the greatest, comes last, so that
    only one rounding is of its size.
    """
    first, *terms = [code.number(coefficient) for coefficient in coefficients]
    power = x
    while len(terms) > 3:
        pairs = zip(terms[0::2], terms[1::2], strict=False)
        odd = terms[-1:] if len(terms) % 2 else []
        terms = [code.fma(power, right, left) for left, right in pairs] + odd
        power = code.build.fmul(power, power)
    total = terms[-1]
    for term in terms[-2::-1]:
        total = code.fma(power, total, term)
    return code.fma(x, total, first)


def _at_least(code: Code, x: ir.Value, least: float) -> ir.Value:
    # llvm.maximum, not llvm.maxnum: the latter turns NaN into a number. Against a constant it is
    # one instruction on x86 and on Arm.
    return code.call("maximum", x, code.number(least))


def _at_most(code: Code, x: ir.Value, most: float) -> ir.Value:
    return code.call("minimum", x, code.number(most))


def _nearest(code: Code, x: ir.Value, factor: float, bias: int) -> tuple[ir.Value, ir.Value]:
    """The integer next to x times a factor; and a number whose last bits are it plus a bias."""
    shifter = code.number(_format(code).shifter + bias)
    shifted = code.fma(x, code.number(factor), shifter)
    return code.build.fsub(shifted, shifter), shifted


def _exponent(code: Code, shifted: ir.Value) -> ir.Value:
    """The last bits of ``_nearest`` where the exponent has its place."""
    bits = code.build.bitcast(shifted, code.module.bit_vector)
    return code.build.shl(bits, code.whole(_format(code).digits))


def _power(code: Code, shifted: ir.Value) -> ir.Value:
    """Two to the integer of ``_nearest``, if that had the bias of exponents."""
    return code.build.bitcast(_exponent(code, shifted), code.module.vector)


def floor(code: Code, x: ir.Value) -> ir.Value:
    """The greatest whole number that is not above x; x itself where it is infinite or NaN.

    LLVM's own is a call for each number on machines without such an instruction.
    """
    build = code.build
    # From here on numbers have no digits behind the point. Added to a smaller one, it leaves the
    # nearest whole number.
    whole = code.number(2.0 ** _format(code).digits)
    size = code.call("fabs", x)
    nearest = code.call("copysign", build.fsub(build.fadd(size, whole), whole), x)
    above = build.fcmp_ordered(">", nearest, x)
    result = build.select(above, build.fsub(nearest, code.number(1.0)), nearest)
    return build.select(build.fcmp_ordered("<", size, whole), result, x)


def exp(code: Code, x: ir.Value) -> ir.Value:
    """exp(x), within 1.1 ulp wherever that is a normal number.

    inf from where the result would be too great; 0 where it would be less than the smallest
    normal number, as at -inf.
    """
    build, form = code.build, _format(code)
    n, shifted = _nearest(code, x, LOG2_E, 0)
    r = code.fma(n, code.number(-form.ln2_high), x)
    r = code.fma(n, code.number(-form.ln2_low), r)
    # 1 comes last: what was rounded before is small beside it.
    small = code.fma(build.fmul(r, r), _polynomial(code, r, form.exp), r)
    power = build.bitcast(build.fadd(small, code.number(1.0)), code.module.bit_vector)
    # Adding to the exponent, where a product with 2**128 could not be: that is no number.
    result = build.bitcast(build.add(power, _exponent(code, shifted)), code.module.vector)
    low = build.fcmp_ordered("<", x, code.number(form.exp_from))
    result = build.select(low, code.number(0.0), result)
    # inf + inf is inf, too great + inf is inf, NaN + inf is NaN.
    usual = build.fcmp_ordered("<=", x, code.number(form.exp_to))
    return build.select(usual, result, build.fadd(x, code.number(float("inf"))))


def sigmoid(code: Code, x: ir.Value) -> ir.Value:
    """1 / (1 + exp(-x)), within 2 ulp wherever that is a normal number.

    Exactly 1 from where that is nearest, at inf too; exactly 1/2 at ±0. Below the smallest normal
    number soon 0, as at -inf.
    """
    build, form = code.build, _format(code)
    x = _at_most(code, _at_least(code, x, form.sigmoid_from), form.sigmoid_to)
    # -x = n ln 2 - r.
    n, shifted = _nearest(code, x, -LOG2_E, form.bias)
    r = code.fma(n, code.number(form.ln2_high), x)
    r = code.fma(n, code.number(form.ln2_low), r)
    power = _power(code, shifted)
    # exp(-r) = 1 - r / m, m = (r/2) coth(r/2) + r/2. As there is a division anyway, this takes
    # fewer terms than a polynomial; and the error of m mostly cancels:
    # 1 / (1 + 2**n (1 - r / m)) = m / (2**n m + (m - 2**n r)), with a scale for m and the last r.
    scale = _SIGMOID_SCALE
    even = [scale] + [scale * coefficient for coefficient in form.coth]
    half = code.number(scale / 2)
    m = code.fma(r, half, _polynomial(code, build.fmul(r, r), even))
    scaled = build.fmul(r, code.number(-scale))
    return build.fdiv(m, code.fma(power, m, code.fma(power, scaled, m)))


def tanh(code: Code, x: ir.Value) -> ir.Value:
    """tanh(x), within 2 ulp, also of results next to 0.

    Exactly ±1 from where that is nearest, at ±inf too. x itself below 2**-25 (float64: 2**-54),
    ±0 at ±0.
    """
    build, form = code.build, _format(code)
    size = _at_most(code, code.call("fabs", x), form.tanh_to)
    # -2 |x| = n ln 2 - 2 r.
    n, shifted = _nearest(code, size, -2 * LOG2_E, form.bias)
    # One constant, not two: for n = -1 and -2, where tanh is most sensitive, r is exact so.
    r = code.fma(n, code.number(LN_2 / 2), size)
    power = _power(code, shifted)
    # Half of exp(-2 r) - 1, in r: a factor 2 for r² and 2 for the half make 4 / 2.
    series = [2 * (-2) ** k * coefficient for k, coefficient in enumerate(form.exp)]
    square, tail = build.fmul(r, r), _polynomial(code, r, series)
    if code.module.double:
        # What the constant lacks comes in here.
        lack = build.fmul(n, code.number(-LN_2_BEYOND / 2))
        part = build.fsub(code.fma(square, tail, lack), r)
    else:
        # ln 2 happens to be very near a number of 24 digits (2e-9).
        part = code.fma(square, tail, build.fneg(r))
    # Halves of exp(-2 |x|) - 1 and exp(-2 |x|) + 1. Powers of two less than one, because then
    # the first stays below a power of two and the second above: of the four ways to place
    # these two, this alone keeps both small roundings at 0 and at 1. Not the one from the
    # other, which would round twice.
    half = code.number(0.5)
    of_less, of_more = code.fma(power, half, code.number(-0.5)), code.fma(power, half, half)
    less, more = code.fma(power, part, of_less), code.fma(power, part, of_more)
    if not code.module.double:
        return code.call("copysign", build.fdiv(less, more), x)
    # What both lost by rounding, and what the quotient lacks, come in at the end.
    less_lost = code.fma(power, part, build.fsub(of_less, less))
    more_lost = code.fma(power, part, build.fsub(of_more, more))
    inverse = build.fdiv(code.number(1.0), more)
    quotient = build.fmul(less, inverse)
    lack = code.fma(build.fneg(quotient), more, less)
    lack = code.fma(build.fneg(quotient), more_lost, build.fadd(lack, less_lost))
    return code.call("copysign", code.fma(lack, inverse, quotient), x)


def log(code: Code, x: ir.Value) -> ir.Value:
    """The natural logarithm, within 1 ulp of all normal numbers.

    inf at inf; -inf at ±0 and at anything between them and the smallest normal number; NaN of
    other negative numbers.
    """
    build, form, module = code.build, _format(code), code.module
    one = form.bias << form.digits
    # x = 2**k y, y = 1 + f in [√½, √2): count exponents from √½, not from 1.
    above = build.add(build.bitcast(x, module.bit_vector), code.whole(one - form.root_half))
    # Bits k + bias below those of 2**digits are the number 2**digits + k + bias.
    whole = (form.bias + form.digits) << form.digits
    k = build.or_(build.lshr(above, code.whole(form.digits)), code.whole(whole))
    k = build.bitcast(k, module.vector)
    k = build.fsub(k, code.number(2.0**form.digits + form.bias))
    stored = build.and_(above, code.whole((1 << form.digits) - 1))
    y = build.bitcast(build.add(stored, code.whole(form.root_half)), module.vector)
    f = build.fsub(y, code.number(1.0))
    # log(1 + f) = 2 atanh(s), s = f / (2 + f); 2 s = f - s f, where f is exact and s f small.
    s = build.fdiv(f, build.fadd(y, code.number(1.0)))
    square = build.fmul(s, s)
    rest = code.fma(build.fneg(square), _polynomial(code, square, form.atanh), f)
    low = build.fmul(k, code.number(form.ln2_low))
    near = build.fsub(f, code.fma(s, rest, build.fneg(low)))
    result = code.fma(k, code.number(form.ln2_high), near)
    finite = build.fcmp_ordered("<", x, code.number(float("inf")))
    result = build.select(finite, result, x)
    # All comparisons are false of NaN, so it comes to NaN at the end.
    tiny = 2.0 ** (1 - form.bias)
    zero = build.fcmp_ordered(">", x, code.number(-tiny))
    other = build.select(zero, code.number(float("-inf")), code.number(float("nan")))
    return build.select(build.fcmp_ordered(">=", x, code.number(tiny)), result, other)
