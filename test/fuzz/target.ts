/** A part of the product under random input, and the laws it has to keep. */
import type { Random } from '../../src/demo/traffic/random.ts'
import type { Corpus } from './corpus.ts'
import type { Input } from './input.ts'

export interface Target {
  readonly name: string
  /** Parts at the front that say what the others are held against: never mutated, never minimised away. */
  readonly fixedParts: number
  /** The same random numbers and corpus make the same input. */
  make(random: Random, corpus: Corpus): Input
  /**
   * Tries the input; whatever it throws is a finding. Any list of byte strings is a valid input.
   * @returns what happened, in values that can be compared: the same input must give the same again
   */
  run(input: Input): unknown
}

/** A law does not hold. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

export function hold(claim: boolean, text: string | (() => string)): void {
  if (!claim) throw new Violation(typeof text === 'string' ? text : text())
}
