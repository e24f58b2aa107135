/** A short run of every target with one seed, every input that was once a finding, and the fuzzer's own promises. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Corpus, openCorpus } from './corpus.ts'
import { formatInput, type Input, parseInput } from './input.ts'
import { minimise } from './minimise.ts'
import { hold, type Target } from './target.ts'
import { TARGETS } from './targets.ts'
import { randomOf, tryInput } from './try-input.ts'

const REGRESSIONS = fileURLToPath(new URL('regressions/', import.meta.url))
const SEED = 1
const INPUTS_EACH = 12

let corpus: Corpus
beforeAll(async () => {
  corpus = await openCorpus({ seed: SEED, shared: null })
})

const made = (target: Target, iteration: number) => target.make(randomOf(SEED, target.name, iteration), corpus)
const byName = (name: string) => TARGETS.find((target) => target.name === name)!

test.each(TARGETS.map((target) => [target.name, target] as const))(
  '%s keeps its laws for a few inputs',
  async (_name, target) => {
    for (let i = 0; i < INPUTS_EACH; i++) {
      const { finding } = await tryInput(target, made(target, i), true)
      expect(
        finding,
        `npm run fuzz -- --shared none --target ${target.name} --seed ${SEED} --iteration ${i}`,
      ).toBeNull()
    }
  },
)

test.each(readdirSync(REGRESSIONS).filter((file) => file.endsWith('.txt')))(
  'what was found once holds: %s',
  async (file) => {
    const { target, input } = parseInput(file, readFileSync(`${REGRESSIONS}${file}`, 'utf8'))
    expect((await tryInput(byName(target), input, true)).finding).toBeNull()
  },
)

describe('the fuzzer', () => {
  test('makes the same input of the same seed, target and iteration, and reads it back from a file', () => {
    for (const target of TARGETS) {
      const input = made(target, 3)
      expect(made(target, 3)).toEqual(input)
      const text = formatInput({ target: target.name, input }, ['a note\nof two lines'])
      expect(parseInput('x.txt', text)).toEqual({ target: target.name, input: input.map((part) => Buffer.from(part)) })
    }
  })

  test('finds what throws, what breaks a law, what takes too long and what differs from time to time', async () => {
    let calls = 0
    const target = (run: (input: Input) => unknown): Target => ({ name: 'x', fixedParts: 0, make: () => [], run })
    const kindOf = async (run: (input: Input) => unknown) =>
      (await tryInput(target(run), [Buffer.alloc(3)], true)).finding?.kind
    expect(await kindOf(() => JSON.parse('{'))).toBe('throw')
    expect(await kindOf(() => Promise.reject(new Error('no')))).toBe('throw')
    expect(await kindOf(() => hold(false, 'no'))).toBe('law')
    expect(await kindOf(() => calls++)).toBe('indeterminate')
    // Not how fast this machine is, but that the bound is held.
    expect(
      (
        await tryInput(
          target(() => busy(30)),
          [Buffer.alloc(3)],
          true,
          1,
        )
      ).finding?.kind,
    ).toBe('slow')
    expect(await kindOf(() => ({ same: 1 }))).toBeUndefined()
  })

  test('makes a failing input as small as it can be, and leaves alone what it is held against', async () => {
    const input = ['truth', 'aaaa', 'bbXbb', 'cc', 'dYd'].map((text) => Buffer.from(text))
    const fails = async (candidate: Input) => /X.*Y/.test(candidate.map(String).join())
    expect((await minimise(input, 1, fails, performance.now() + 10_000)).map(String)).toEqual(['truth', 'X', 'Y'])
  })

  test('notices a request that was never there, one that was altered, and one that comes twice', async () => {
    const target = byName('unaltered')
    const whole = corpus.known[5]!
    const parts = whole.frames.map(({ bytes }) => Buffer.concat([Buffer.from([1, 1, 0, 0]), bytes]))
    const finding = async (requests: readonly unknown[]) => {
      const truth = Buffer.from(JSON.stringify({ requests, copies: 1 }))
      return (await tryInput(target, [truth, ...parts], false)).finding?.text ?? 'nothing'
    }
    const { requests } = whole
    const [first, ...rest] = requests
    expect(await finding(requests)).toBe('nothing')
    expect(await finding(rest)).toContain('altered or invented')
    expect(await finding([{ ...first!, bodySha256: '0' }, ...rest])).toContain('altered or invented')
    expect(await finding([{ ...first!, times: 0 }, ...rest])).toContain('once more than it was there')
  })
})

function busy(ms: number): void {
  for (const { user, system } = process.cpuUsage(); ; ) {
    const now = process.cpuUsage()
    if (now.user + now.system - user - system > ms * 1000) return
  }
}
