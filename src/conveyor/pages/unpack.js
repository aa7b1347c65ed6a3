// Unpacks what conveyor/pages/bundle.py packs: LZMA in base 85. Browsers unpack gzip by
// themselves, but plotly.js in gzip and base 64 is 1.96 MB, and so it is 1.39 MB.
"use strict";

/** The bytes of a text in base 85, five characters for four bytes, most significant first. */
function fromBase85(text, alphabet) {
  const digits = new Uint8Array(128);
  for (let digit = 0; digit < 85; digit++) digits[alphabet.charCodeAt(digit)] = digit;
  const bytes = new Uint8Array((text.length / 5) * 4);
  const view = new DataView(bytes.buffer);
  for (let from = 0, to = 0; from < text.length; to += 4) {
    let word = 0;
    for (const end = from + 5; from < end; from++) word = word * 85 + digits[text.charCodeAt(from)];
    view.setUint32(to, word);
  }
  return bytes;
}

/**
 * The `size` bytes that a raw LZMA stream with lc = 3, lp = 0 and pb = 0 holds. The names of the
 * tables follow the specification of LZMA; those by position have one row only, as pb = 0.
 */
function fromLzma(packed, size) {
  const STATES = 12;
  const table = (length) => new Uint16Array(length).fill(1024); // 1024 of 2048: as likely 0 as 1
  const lengths = () => ({ choice: table(2), low: table(8), mid: table(8), high: table(256) });
  const literal = table(8 * 768);
  const isMatch = table(STATES), isRepeat = table(STATES);
  const isRepeat0 = table(STATES), isRepeat0Long = table(STATES);
  const isRepeat1 = table(STATES), isRepeat2 = table(STATES);
  const matchLength = lengths(), repeatLength = lengths();
  const slots = [table(64), table(64), table(64), table(64)];
  const nearBits = table(128), alignBits = table(16);

  // The range decoder. Numbers of 32 bits are kept without sign by >>> 0.
  let next = 1, code = 0, range = 0xffffffff;
  while (next < 5) code = ((code << 8) | packed[next++]) >>> 0;
  function normalise() {
    if (range < 0x1000000) {
      range = (range << 8) >>> 0;
      code = ((code << 8) | packed[next++]) >>> 0;
    }
  }
  function bit(odds, at) {
    const odd = odds[at], bound = (range >>> 11) * odd;
    let answer = 0;
    if (code < bound) {
      range = bound;
      odds[at] = odd + ((2048 - odd) >> 5);
    } else {
      range -= bound;
      code -= bound;
      odds[at] = odd - (odd >> 5);
      answer = 1;
    }
    normalise();
    return answer;
  }
  function bits(odds, count) { // the highest bit first
    let node = 1;
    for (let n = 0; n < count; n++) node = (node << 1) | bit(odds, node);
    return node - (1 << count);
  }
  function reversedBits(odds, start, count) { // the lowest bit first
    let node = 1, value = 0;
    for (let n = 0; n < count; n++) {
      const one = bit(odds, start + node);
      node = (node << 1) | one;
      value |= one << n;
    }
    return value;
  }
  function directBits(count) { // as likely 0 as 1
    let value = 0;
    for (let n = 0; n < count; n++) {
      range >>>= 1;
      const one = code >= range ? 1 : 0;
      if (one) code -= range;
      value = (value << 1) | one;
      normalise();
    }
    return value;
  }
  function readLength(odds) {
    if (!bit(odds.choice, 0)) return 2 + bits(odds.low, 3);
    if (!bit(odds.choice, 1)) return 10 + bits(odds.mid, 3);
    return 18 + bits(odds.high, 8);
  }
  function readDistance(length) {
    const slot = bits(slots[Math.min(length - 2, 3)], 6);
    if (slot < 4) return slot;
    const count = (slot >> 1) - 1, start = (2 | (slot & 1)) << count;
    if (slot < 14) return start + reversedBits(nearBits, start - slot, count);
    const high = directBits(count - 4) * 16;
    return start + high + reversedBits(alignBits, 0, 4);
  }

  const bytes = new Uint8Array(size);
  let at = 0, state = 0, distance = 0, distance1 = 0, distance2 = 0, distance3 = 0;
  function readLiteral() {
    const start = (at ? bytes[at - 1] >> 5 : 0) * 768;
    let node = 1;
    if (state >= 7) { // after a copy: as long as it agrees, by what would have been copied
      let expected = bytes[at - distance - 1];
      while (node < 256) {
        const likely = (expected >> 7) & 1;
        expected <<= 1;
        const one = bit(literal, start + ((1 + likely) << 8) + node);
        node = (node << 1) | one;
        if (one !== likely) break;
      }
    }
    while (node < 256) node = (node << 1) | bit(literal, start + node);
    bytes[at++] = node;
    state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }
  while (at < size) {
    if (!bit(isMatch, state)) {
      readLiteral();
      continue;
    }
    let length = 0;
    if (!bit(isRepeat, state)) {
      length = readLength(matchLength);
      [distance1, distance2, distance3] = [distance, distance1, distance2];
      distance = readDistance(length);
      state = state < 7 ? 7 : 10;
    } else {
      if (!bit(isRepeat0, state)) {
        if (!bit(isRepeat0Long, state)) length = 1;
      } else if (!bit(isRepeat1, state)) {
        [distance, distance1] = [distance1, distance];
      } else if (!bit(isRepeat2, state)) {
        [distance, distance1, distance2] = [distance2, distance, distance1];
      } else {
        [distance, distance1, distance2, distance3] = [distance3, distance, distance1, distance2];
      }
      state = state < 7 ? (length ? 9 : 8) : 11;
      length ||= readLength(repeatLength);
    }
    if (distance >= at) throw new Error("The packed script is damaged.");
    for (const end = Math.min(at + length, size); at < end; at++) {
      bytes[at] = bytes[at - distance - 1];
    }
  }
  return bytes;
}
