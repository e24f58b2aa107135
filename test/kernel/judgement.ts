/** Ours against the receiver's, scenario by scenario, added up by kind. */
import { release } from 'node:os'
import type { Random } from '../../src/demo/traffic/random.ts'
import { isInBytes } from './in-bytes.ts'
import { NOISES } from './mirror-noise.ts'
import { disagreement } from './modelled.ts'
import { notAmong, readAsInspect, readCapture } from './our-reading.ts'
import { type Captured, HONEST, type Scenario, WITHOUT_FORGED_BYTES } from './scenario.ts'

/** The model follows Linux 6.18; what it has of later rules than a kernel's own is no fault of either. */
const MODELLED = [6, 18]
const IS_MODELLED = (([major = 0, minor = 0]) =>
  major > MODELLED[0]! || (major === MODELLED[0]! && minor >= MODELLED[1]!))(release().split('.').map(Number))

class Tally {
  scenarios = 0
  injected = 0
  taken = 0
  ignored = 0
  /** Requests. */
  received = 0
  ours = 0
  /** Scenarios with a request that the receiver never read; by noise, '' without any. */
  readonly altered = new Map<string, number>()
  /** Scenarios of honest segments where a request is missing. */
  incomplete = 0
}

/**
 * What is left when packets are missing or in another order can have more than one reading, where forged copies are among them: the honest
 * copy may be the one that is missing. With these noises every scenario must hold; with the others those without forged bytes.
 */
const DECIDED = new Set(['', 'doubled'])
/** With these a request that the receiver read is not to be missing, where all segments were honest. */
const HARMLESS = new Set(['', 'doubled', 'reordered'])

export class Judgement {
  readonly failed: Scenario[] = []
  /** Captures with noise in which something was wrong. */
  readonly noisy: { readonly scenario: Scenario; readonly name: string; readonly capture: readonly Captured[] }[] = []
  private undecided = 0
  private readonly variants: number
  private readonly isStrict: boolean
  private readonly tallies = new Map<string, Tally>()
  private readonly details: string[] = []
  private readonly read = new Map<Scenario, string[]>()
  private inspectDiffers = 0
  private modelDiffers = 0

  /** @param variants times each noise is tried @param isStrict no noise is an excuse */
  constructor(variants: number, isStrict: boolean) {
    this.variants = variants
    this.isStrict = isStrict
  }

  add(scenario: Scenario, random: Random): void {
    const { subject } = scenario
    const tally = this.tallies.get(subject) ?? new Tally()
    this.tallies.set(subject, tally)
    tally.scenarios++
    for (const { wasTaken } of scenario.injected) {
      tally.injected++
      if (wasTaken === true) tally.taken++
      if (wasTaken === false) tally.ignored++
    }
    const disagrees = disagreement(scenario)
    if (disagrees !== null) {
      this.modelDiffers++
      this.details.push(`--seed ${scenario.seed} --scenario ${scenario.index}: ${subject}: model: ${disagrees}\n`)
    }
    const theirs = scenario.connections.flatMap(({ requests }) => requests)
    const ours = readCapture(scenario.capture)
    this.read.set(scenario, readAsInspect(scenario.capture))
    tally.received += theirs.length
    tally.ours += ours.length
    const found = this.problems(scenario, tally, '', ours, theirs)
    let isFailed = found.length > 0
    for (const [name, noise] of Object.entries(NOISES)) {
      for (let i = 0; i < this.variants; i++) {
        const capture = noise(random, scenario.capture)
        const problems = this.problems(scenario, tally, name, readCapture(capture), theirs)
        found.push(...problems)
        if (problems.length === 0) continue
        this.noisy.push({ scenario, name, capture })
        if (this.isStrict || DECIDED.has(name) || WITHOUT_FORGED_BYTES.has(subject)) isFailed = true
        break
      }
    }
    if (found.length === 0) return
    if (isFailed) this.failed.push(scenario)
    else this.undecided++
    const injected = scenario.injected.map(
      (i) => `${i.kind} (${i.wasTaken === null ? '?' : i.wasTaken ? 'taken' : 'ignored'})`,
    )
    this.details.push(
      `--seed ${scenario.seed} --scenario ${scenario.index}: ${isFailed ? '' : 'noise only: '}${subject}; ${injected.join(', ')}\n${found.map((p) => `    ${p}\n`).join('')}`,
    )
  }

  /** What the command line printed of it: as many requests as the path on one thread, in the same order. */
  inspected(scenario: Scenario, lines: readonly string[]): void {
    const ours = this.read.get(scenario) ?? []
    if (ours.join('\n') === lines.join('\n')) return
    this.inspectDiffers++
    this.details.push(
      `--seed ${scenario.seed} --scenario ${scenario.index}: inspect prints ${lines.length} requests, the path on one thread ${ours.length}\n`,
    )
  }

  /** @param open scenarios that may fail */
  isGood(open: number): boolean {
    return this.failed.length <= open && this.inspectDiffers === 0 && (this.modelDiffers === 0 || !IS_MODELLED)
  }

  text(withDetails: boolean): string {
    const noises = ['', ...Object.keys(NOISES)]
    const head = [
      'kind',
      'scenarios',
      'sent',
      'taken',
      'ignored',
      'read',
      'ours',
      ...noises.map((n) => (n === '' ? 'altered' : `…${n}`)),
      'missing',
    ]
    const rows = [...this.tallies].map(([kind, t]) => [
      kind,
      t.scenarios,
      t.injected,
      t.taken,
      t.ignored,
      t.received,
      t.ours,
      ...noises.map((n) => t.altered.get(n) ?? 0),
      t.incomplete,
    ])
    const sums = head.map((_, i) => (i === 0 ? 'all' : rows.reduce((sum, row) => sum + Number(row[i]), 0)))
    const all = [head, ...rows, sums].map((row) => row.map(String))
    const widths = head.map((_, i) => Math.max(...all.map((row) => row[i]!.length)))
    const table = all
      .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
      .join('\n')
    const details = withDetails ? `${this.details.join('')}\n` : ''
    return `${details}${table}\n${this.failed.length} scenarios failed, ${this.undecided} with noise only; inspect differs from the path on one thread in ${this.inspectDiffers}; the model of Linux’s acceptance differs from the kernel in ${this.modelDiffers}${IS_MODELLED ? '' : `, not held against it: this is Linux ${release()}`}\n`
  }

  private problems(
    scenario: Scenario,
    tally: Tally,
    noise: string,
    ours: readonly string[],
    theirs: readonly string[],
  ): string[] {
    const label = noise === '' ? '' : `${noise}: `
    const problems: string[] = []
    const altered = notAmong(ours, theirs).filter(
      (request) => !scenario.connections.some(({ bytes }) => isInBytes(bytes, request)),
    )
    if (altered.length > 0) {
      tally.altered.set(noise, (tally.altered.get(noise) ?? 0) + 1)
      problems.push(
        `${label}${altered.length} of ${ours.length} requests the receiver did not read (it read ${theirs.length}): ${requestLine(altered[0]!)}`,
      )
    }
    if (scenario.subject === HONEST && HARMLESS.has(noise) && ours.length < theirs.length) {
      tally.incomplete++
      problems.push(`${label}${ours.length} of ${theirs.length} honest requests`)
    }
    return problems
  }
}

function requestLine(key: string): string {
  return key.slice(0, key.indexOf(' HTTP/')).slice(0, 120)
}
