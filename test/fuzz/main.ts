/**
 * `npm run fuzz`: watches over threads that fuzz, saves what they find, and prints what was tried. A thread that hangs or runs out of
 * memory is ended, named with its input, and replaced by one that goes on behind it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { MirrorError } from '../../src/base/errors.ts'
import { type Corpus, openCorpus } from './corpus.ts'
import { formatInput, type Input, parseInput } from './input.ts'
import type { JobData, Report } from './job.ts'
import { Progress, readInHand } from './progress.ts'
import { TARGETS } from './targets.ts'
import { type Finding, randomOf, tryInput } from './try-input.ts'

const USAGE = `npm run fuzz -- [options]
  --seconds N      how long, default 60
  --seed S         of the inputs; default: another one each time. The same seed, corpus and iteration make the same input
  --target A,B     only these: ${TARGETS.map(({ name }) => name).join(', ')}
  --jobs N         threads, default 1
  --shared DIR     where corpus/ and tools/ are, default ../shared where it is there; none: do without
  --findings DIR   where failing inputs are saved, default fuzz-findings
  --input FILE     try one saved input and say what becomes of it
  --unwatched      in this process, for debuggers; else in another one, so that its death is told too
  --iteration N    with --seed and one --target: try that input only, and save it when it fails
`

/** The package's root, whether this runs from dist/ or from source. */
const ROOT = fileURLToPath(new URL(import.meta.url.includes('/dist/') ? '../../..' : '../..', import.meta.url))
/** An input that has run this long hangs; the bound on time per input is far below. */
const HANG_MS = 30_000
/** So much of the processor's time has to be in it, as a busy machine may leave us little; or it waits for something, this long. */
const HANG_CPU_MS = 10_000
const WAIT_MS = 300_000
/** A target that hangs or exhausts memory this often has been understood: the time is the others'. */
const FATAL_PER_TARGET = 3
const JOB_HEAP_MB = 700
const CHECK_MS = 250
const PROGRESS_MS = 60_000

interface Options {
  readonly seconds: number
  readonly seed: number
  readonly targets: readonly number[]
  readonly jobs: number
  readonly shared: string | null
  readonly findings: string
  readonly input: string | null
  readonly iteration: number | null
  readonly isWatched: boolean
  /** Where threads write down what they try: for the process that watches this one. */
  readonly inHand: string | null
}

function readOptions(): Options {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    options: {
      seconds: text,
      seed: text,
      target: text,
      jobs: text,
      shared: text,
      findings: text,
      input: text,
      iteration: text,
      unwatched: { type: 'boolean' },
      'in-hand': text,
      help: { type: 'boolean' },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    process.exit(0)
  }
  const number = (name: 'seconds' | 'seed' | 'jobs' | 'iteration', fallback: number, min: number): number => {
    const given = values[name]
    if (given === undefined) return fallback
    if (!/^\d+(\.\d+)?$/.test(given) || Number(given) < min)
      throw new MirrorError('ERR_USAGE', `--${name} must be a number from ${min} on, got ${JSON.stringify(given)}`)
    return Number(given)
  }
  const targets = (values.target?.split(',') ?? TARGETS.map(({ name }) => name)).map(targetIndex)
  const beside = join(ROOT, '..', 'shared')
  const shared = values.shared === 'none' ? null : (values.shared ?? (existsSync(beside) ? beside : null))
  if (shared === null && values.shared !== 'none' && values.unwatched === true && values.input === undefined)
    process.stdout.write(`skipped: captures beside the checkout, ${relative(ROOT, beside)} is not there\n`)
  return {
    seconds: number('seconds', 60, 0.1),
    seed: number('seed', (Date.now() ^ (process.pid << 16)) >>> 0, 0) >>> 0,
    targets,
    jobs: Math.floor(number('jobs', 1, 1)),
    shared,
    findings: values.findings ?? join(ROOT, 'fuzz-findings'),
    input: values.input ?? null,
    iteration: values.iteration === undefined ? null : number('iteration', 0, 0),
    isWatched: values.unwatched !== true,
    inHand: values['in-hand'] ?? null,
  }
}

function targetIndex(name: string): number {
  const index = TARGETS.findIndex((target) => target.name === name)
  if (index < 0)
    throw new MirrorError(
      'ERR_USAGE',
      `--target must be one of ${TARGETS.map((target) => target.name).join(', ')}, got ${JSON.stringify(name)}`,
    )
  return index
}

/** Writes what failed to a file and says how to see it again. */
function save(
  { findings, seed, shared }: Options,
  target: string,
  iteration: number,
  finding: Finding,
  input: Input,
): void {
  mkdirSync(findings, { recursive: true })
  const path = join(findings, `${target}-${seed}-${iteration}.txt`)
  writeFileSync(
    path,
    formatInput({ target, input }, [`seed ${seed} iteration ${iteration}`, `${finding.kind}: ${finding.text}`]),
  )
  const shown = relative(process.cwd(), path)
  const corpus = shared === null ? ' --shared none' : ` --shared ${relative(process.cwd(), shared)}`
  process.stdout.write(
    `\nFOUND by ${target}, seed ${seed}, iteration ${iteration}: ${finding.kind}: ${finding.text.slice(0, 1200)}\n`,
  )
  process.stdout.write(`  saved: ${shown}\n  again: npm run fuzz -- --input ${shown}\n`)
  process.stdout.write(`  whole: npm run fuzz -- --target ${target} --seed ${seed} --iteration ${iteration}${corpus}\n`)
}

class Supervisor {
  private readonly options: Options
  private readonly started = performance.now()
  private readonly jobs: {
    worker: Worker
    progress: Progress
    number: number
    isOver: boolean
    isReplaced: boolean
    /** The input in hand when it was looked at last, and the processor's time when it was new. */
    seen: { ms: number; cpuMs: number }
  }[] = []
  private corpus: Corpus | null = null
  private notesShown = false
  /** Hangs and threads out of memory, by target: what their threads could not count themselves. */
  private readonly fatal = TARGETS.map(() => 0)
  private stopping = false
  private stoppedMs = 0

  constructor(options: Options) {
    this.options = options
  }

  async run(): Promise<number> {
    const { seconds, seed, jobs } = this.options
    process.stdout.write(
      `seed ${seed}, ${seconds} s, ${this.options.targets.length} targets, Node ${process.version}\n`,
    )
    for (let i = 0; i < jobs; i++)
      this.open(
        i,
        this.options.targets,
        this.options.targets.map(() => i),
      )
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => {
        // A second one does not wait; one that came by two ways is one.
        if (this.stopping && performance.now() - this.stoppedMs > 500) process.exit(1)
        if (!this.stopping) this.stoppedMs = performance.now()
        this.stopping = true
      })
    let toldMs = this.started
    while (!this.stopping && performance.now() - this.started < seconds * 1000) {
      await sleep(CHECK_MS)
      await this.endHanging()
      if (performance.now() - toldMs >= PROGRESS_MS) {
        toldMs = performance.now()
        this.tell()
      }
    }
    this.stopping = true
    for (const { progress } of this.jobs) progress.stop()
    // What is being minimised may take its time.
    for (const deadline = performance.now() + HANG_MS; this.isRunning && performance.now() < deadline; ) await sleep(20)
    for (const job of [...this.jobs]) {
      const { inHand } = job.progress
      if (job.isOver || job.isReplaced) continue
      if (inHand === null) await job.worker.terminate()
      else await this.replace(job, { kind: 'slow', text: `hangs: still not done ${HANG_MS / 1000} s behind the end` })
    }
    return this.summarise()
  }

  private get isRunning(): boolean {
    return this.jobs.some((job) => !job.isOver)
  }

  private open(number: number, targets: readonly number[], first: readonly number[]): void {
    const { seed, shared, jobs, inHand } = this.options
    const progress = new Progress(TARGETS.length)
    const workerData: JobData = { seed, shared, targets, first, step: jobs, memory: progress.memory, number, inHand }
    const worker = new Worker(new URL(`./job.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url), {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: JOB_HEAP_MB },
    })
    const job = { worker, progress, number, isOver: false, isReplaced: false, seen: { ms: 0, cpuMs: 0 } }
    this.jobs.push(job)
    worker.on('message', (message: Report | { notes: readonly string[] }) => {
      if ('notes' in message) this.showNotes(message.notes)
      else if (message.input !== null)
        save(
          this.options,
          TARGETS[message.target]!.name,
          message.iteration,
          message.finding,
          message.input.map((part) => Buffer.from(part)),
        )
    })
    worker.on('error', (error) => {
      if (!job.isReplaced)
        void this.replace(job, { kind: 'throw', text: `the thread died: ${error.stack ?? error.message}` })
    })
    worker.on('exit', () => {
      job.isOver = true
    })
  }

  private showNotes(notes: readonly string[]): void {
    if (this.notesShown) return
    this.notesShown = true
    for (const note of notes) process.stdout.write(`${note}\n`)
  }

  private async endHanging(): Promise<void> {
    for (const job of [...this.jobs]) {
      const { inHand } = job.progress
      const { user, system } = process.cpuUsage()
      const cpuMs = (user + system) / 1000
      if (inHand === null || inHand.ms < job.seen.ms) job.seen = { ms: 0, cpuMs }
      if (job.isOver || job.isReplaced || inHand === null) continue
      job.seen.ms = inHand.ms
      const isBusy = inHand.ms >= HANG_MS && cpuMs - job.seen.cpuMs >= HANG_CPU_MS
      if (!isBusy && inHand.ms < WAIT_MS) continue
      await this.replace(job, { kind: 'slow', text: `hangs: not done after ${(inHand.ms / 1000).toFixed(0)} s` })
    }
  }

  /** Names and saves what the thread was trying, and goes on behind it. */
  private async replace(job: Supervisor['jobs'][number], finding: Finding): Promise<void> {
    job.isReplaced = true
    const { inHand } = job.progress
    await job.worker.terminate()
    const { seed, shared, targets } = this.options
    // Nothing was in hand: it never came to its first input.
    if (inHand === null) {
      process.stdout.write(`${finding.text}\n`)
      this.fatal[targets[0]!]!++
      this.stopping = true
      return
    }
    const target = TARGETS[inHand.target]!
    this.fatal[inHand.target]!++
    job.progress.tried(inHand.target, 1, inHand.ms, inHand.ms, 0)
    this.corpus ??= await openCorpus({ seed, shared })
    save(
      this.options,
      target.name,
      inHand.iteration,
      finding,
      target.make(randomOf(seed, target.name, inHand.iteration), this.corpus),
    )
    if (this.fatal[inHand.target]! >= FATAL_PER_TARGET)
      process.stdout.write(`${target.name} is left out from here on\n`)
    const left = targets.filter((index) => this.fatal[index]! < FATAL_PER_TARGET)
    if (this.stopping || left.length === 0) return
    const done = (index: number) =>
      this.jobs
        .filter(({ number }) => number === job.number)
        .reduce((sum, { progress }) => sum + progress.of(index).inputs, 0)
    const step = this.options.jobs
    this.open(
      job.number,
      left,
      left.map((index) => job.number + done(index) * step),
    )
  }

  private figures(index: number) {
    const all = this.jobs.map(({ progress }) => progress.of(index))
    const sum = (key: 'inputs' | 'ms' | 'bytes' | 'findings') => all.reduce((total, one) => total + one[key], 0)
    return {
      inputs: sum('inputs'),
      ms: sum('ms'),
      bytes: sum('bytes'),
      findings: sum('findings') + this.fatal[index]!,
      longestMs: Math.max(0, ...all.map((one) => one.longestMs)),
    }
  }

  private tell(): void {
    const all = this.options.targets.map((index) => this.figures(index))
    const seconds = (performance.now() - this.started) / 1000
    const inputs = all.reduce((sum, one) => sum + one.inputs, 0)
    const findings = all.reduce((sum, one) => sum + one.findings, 0)
    const heap = this.jobs
      .filter(({ isOver }) => !isOver)
      .map(({ progress }) => (progress.heapBytes / 2 ** 20).toFixed(0))
    const rss = (process.memoryUsage.rss() / 2 ** 20).toFixed(0)
    process.stdout.write(
      `${seconds.toFixed(0)} s: ${inputs} inputs, ${(inputs / seconds).toFixed(0)}/s, ${findings} findings, heap ${heap.join('+')} MiB, rss ${rss} MiB\n`,
    )
  }

  private summarise(): number {
    const rows = this.options.targets.map((index) => ({ name: TARGETS[index]!.name, ...this.figures(index) }))
    const seconds = (performance.now() - this.started) / 1000
    process.stdout.write(
      `\n${'target'.padEnd(22)}${['inputs', 'inputs/s', 'MiB', 'longest ms', 'findings'].map((head) => head.padStart(12)).join('')}\n`,
    )
    const line = (name: string, cells: readonly string[]) =>
      process.stdout.write(`${name.padEnd(22)}${cells.map((cell) => cell.padStart(12)).join('')}\n`)
    for (const { name, inputs, ms, bytes, longestMs, findings } of rows)
      line(name, [
        String(inputs),
        ms === 0 ? '-' : (inputs / (ms / 1000)).toFixed(0),
        (bytes / 2 ** 20).toFixed(1),
        longestMs.toFixed(1),
        String(findings),
      ])
    const inputs = rows.reduce((sum, row) => sum + row.inputs, 0)
    const findings = rows.reduce((sum, row) => sum + row.findings, 0)
    const untried = rows.filter((row) => row.inputs === 0).map(({ name }) => name)
    line('all', [
      String(inputs),
      (inputs / seconds).toFixed(0),
      (rows.reduce((sum, row) => sum + row.bytes, 0) / 2 ** 20).toFixed(1),
      Math.max(...rows.map((row) => row.longestMs)).toFixed(1),
      String(findings),
    ])
    if (untried.length > 0) process.stdout.write(`not tried: ${untried.join(', ')}\n`)
    process.stdout.write(
      `${findings === 0 ? 'nothing found' : `FOUND ${findings}, saved in ${relative(process.cwd(), this.options.findings)}/`}; seed ${this.options.seed}, ${seconds.toFixed(0)} s\n`,
    )
    return findings === 0 && untried.length === 0 ? 0 : 1
  }
}

/** One input: all laws, told. */
async function tryOne(name: string, input: Input): Promise<Finding | null> {
  const target = TARGETS[targetIndex(name)]!
  const { ms, finding } = await tryInput(target, input, true)
  process.stdout.write(
    finding === null ? `${name}: holds, ${ms.toFixed(1)} ms\n` : `${name}: ${finding.kind}: ${finding.text}\n`,
  )
  return finding
}

/**
 * This very command in a process of its own, which may hang or die: a thread that exhausts memory in one step takes its process with it.
 * What it was trying then stands in a file.
 */
async function runElsewhere(options: Options): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-fuzz-'))
  const inHand = join(folder, 'in-hand')
  const own = ['--seed', String(options.seed), '--unwatched', '--in-hand', inHand]
  const isOne = options.input !== null || options.iteration !== null
  try {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...process.argv.slice(2), ...own], {
      stdio: 'inherit',
      ...(isOne ? { timeout: HANG_MS, killSignal: 'SIGKILL' } : {}),
    })
    // A terminal sends SIGINT to both; whoever is sent it alone passes it on. The child counts two within a moment as one.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    if (code !== null && code <= 2) return code
    const how =
      signal === 'SIGKILL' && isOne
        ? `hangs: not done after ${HANG_MS / 1000} s`
        : `the process died (${signal ?? code})`
    if (isOne) process.stdout.write(`${how}\n`)
    else await saveInHand(options, inHand, how)
    return 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function saveInHand(options: Options, path: string, how: string): Promise<void> {
  const corpus = await openCorpus(options)
  for (const { target: index, iteration } of readInHand(path)) {
    const target = TARGETS[index]!
    const input = target.make(randomOf(options.seed, target.name, iteration), corpus)
    save(options, target.name, iteration, { kind: 'throw', text: how }, input)
  }
}

async function main(): Promise<number> {
  const options = readOptions()
  if (options.isWatched) return await runElsewhere(options)
  if (options.input !== null) {
    const { target, input } = parseInput(options.input, readFileSync(options.input, 'utf8'))
    return (await tryOne(target, input)) === null ? 0 : 1
  }
  if (options.iteration !== null) {
    const target = TARGETS[options.targets[0]!]!
    const input = target.make(randomOf(options.seed, target.name, options.iteration), await openCorpus(options))
    const finding = await tryOne(target.name, input)
    if (finding !== null) save(options, target.name, options.iteration, finding, input)
    return finding === null ? 0 : 1
  }
  return await new Supervisor(options).run()
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof MirrorError) && (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') !== true)
    throw error
  process.stderr.write(`${(error as Error).message}\n\n${USAGE}`)
  process.exitCode = 2
}
