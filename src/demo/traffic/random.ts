/** Random numbers that a seed repeats: the sample traffic of one seed is the same on every machine. Not for secrets. */

/** sfc32 (Chris Doty-Humphrey): 128 bits of state, passes PractRand, four additions a number. */
export class Random {
  private a: number
  private b: number
  private c: number
  private counter = 1

  /** @param seed an integer; its low 32 bits count */
  constructor(seed: number) {
    this.a = seed | 0
    this.b = 0x9e3779b9 | 0
    this.c = 0x243f6a88 | 0
    // The state needs some rounds until every bit of the seed has reached all of it.
    for (let i = 0; i < 15; i++) this.word()
  }

  /** 32 bits, unsigned. */
  word(): number {
    const sum = (this.a + this.b + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** An integer from 0 to `n` - 1. */
  below(n: number): number {
    return Math.floor((this.word() / 0x100000000) * n)
  }

  /** An integer from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  /** True in this share of the calls. */
  chance(share: number): boolean {
    return this.word() < share * 0x100000000
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let i = 0; i < length; i++) bytes[i] = this.word() >>> 24
    return bytes
  }

  /** Lower-case hexadecimal digits. */
  hex(digits: number): string {
    let text = ''
    while (text.length < digits) text += this.word().toString(16).padStart(8, '0')
    return text.slice(0, digits)
  }
}
