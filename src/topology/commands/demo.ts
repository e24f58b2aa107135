/** `mirrorshard demo`: sample traffic through the real pipeline on loopback, and a verdict against what was sent. */
import { basename, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MonotonicClock } from '../../base/clock.ts'
import { EXIT } from '../../base/errors.ts'
import { count, plural } from '../../base/plural.ts'
import { formatHostPort } from '../../config/addresses.ts'
import type { DemoOptions, RunOptions } from '../../config/options.ts'
import { resolveOptions } from '../../config/resolve.ts'
import { DemoHarness, type HarnessState } from '../../demo/harness.ts'
import { isPerfect } from '../../demo/judge.ts'
import { LiveLine } from '../../demo/live-line.ts'
import { verdictDetails, verdictSentence } from '../../demo/verdict-text.ts'
import { Counter } from '../../metrics/counters.ts'
import { LOG_EVENTS } from '../../report/log-events.ts'
import { openCommandLog } from '../command-log.ts'
import { Service } from '../service.ts'
import { serviceOptions } from '../service-options.ts'

/** Every run sends the same traffic. */
const SEED = 4_789
/** The default of an unprivileged process on Linux: asked for, so that the demo shows the same everywhere. */
const RECEIVE_BUFFER_BYTES = 208 * 1024
/** What the kernel charges the buffer for one packet of up to 1,500 bytes: its memory block and its descriptor. */
const CHARGED_BYTES = 2_304
/** The sender leaves this share of the buffer free. */
const SPARE_SHARE = 0.25
const PACKETS_PER_SECOND = 10_000
/** After the verdict, with --keep: enough to see numbers move, little enough to leave running. */
const KEEP_PACKETS_PER_SECOND = 1_000
const ACKNOWLEDGE_MS = 2
const LOOK_MS = 100
/** Longer than any wait of the pipeline with default options (reorder window 2 s): what is missing then is missing. */
const QUIET_MS = 3_000
/** Duplicates and inventions are late by nature. */
const LATE_MS = 150

export async function execute(options: DemoOptions): Promise<number> {
  return await new Demo(options).run()
}

class Demo {
  private readonly options: DemoOptions
  private readonly live = new LiveLine(process.stderr)
  private readonly stopped: Promise<void>
  private isStopped = false
  private harness: DemoHarness | null = null
  private service: Service | null = null

  constructor(options: DemoOptions) {
    this.options = options
    this.stopped = new Promise((resolve) => {
      const onSignal = () => {
        // A second one ends at once, whatever is still held.
        if (this.isStopped) process.exit(EXIT.failure)
        this.isStopped = true
        resolve()
      }
      process.on('SIGINT', onSignal)
      process.on('SIGTERM', onSignal)
    })
  }

  async run(): Promise<number> {
    try {
      this.harness = await DemoHarness.start(SEED)
      this.service = await this.openService(this.harness)
      return await this.show(this.harness, this.service)
    } finally {
      this.live.clear()
      await this.service?.close()
      await this.harness?.close()
    }
  }

  private async show(harness: DemoHarness, service: Service): Promise<number> {
    const { requests, keep } = this.options
    print(this.introduction(harness, service))
    const received = setInterval(
      () => harness.acknowledge(service.stats.counters.get(Counter.packetsReceived)),
      ACKNOWLEDGE_MS,
    )
    try {
      const target = service.listening[0]!
      const window = Math.floor((service.grantedBufferBytes[0]! * (1 - SPARE_SHARE)) / CHARGED_BYTES)
      await this.watch(
        harness,
        service,
        requests,
        harness.send(requests, target, { packetsPerSecond: PACKETS_PER_SECOND, window }),
      )
      if (this.isStopped) {
        this.live.clear()
        print(['Stopped before the verdict.'])
        return EXIT.failure
      }
      // Draining can still bring something to light; with --keep a moment has to do.
      if (keep) await sleep(LATE_MS)
      else await service.close()
      const state = await harness.state()
      this.live.clear()
      print([
        headline(verdictSentence(state.verdict), isPerfect(state.verdict)),
        '',
        ...verdictDetails(state, service.summary()),
        '',
        ...suggestions(keep),
      ])
      const exitCode = isPerfect(state.verdict) ? EXIT.ok : EXIT.failure
      if (!keep) return exitCode
      const end = await this.keepOn(
        harness,
        service,
        harness.send(Number.POSITIVE_INFINITY, target, { packetsPerSecond: KEEP_PACKETS_PER_SECOND, window }),
      )
      return isPerfect(end.verdict) ? exitCode : EXIT.failure
    } finally {
      clearInterval(received)
    }
  }

  /** Numbers until everything has arrived, or nothing moves any more. */
  private async watch(harness: DemoHarness, service: Service, requests: number, sending: Promise<void>): Promise<void> {
    let isSent = false
    const sent = sending.then(() => {
      isSent = true
    })
    let last = ''
    let quietSinceMs = performance.now()
    while (!this.isStopped) {
      await Promise.race([this.stopped, sleep(LOOK_MS), isSent ? this.stopped : sent])
      const state = await harness.state()
      const totals = service.totals()
      this.live.show(requests, state, totals)
      const { verdict, packetsSent } = state
      if (isSent && verdict.missing === 0) return
      const now = performance.now()
      const marks = `${packetsSent} ${totals.get('packetsReceived')} ${verdict.missing} ${totals.requestsEnded()}`
      if (marks !== last) quietSinceMs = now
      last = marks
      if (isSent && now - quietSinceMs > QUIET_MS) return
    }
  }

  /** Traffic continues until a signal; then what is under way comes to its end. */
  private async keepOn(harness: DemoHarness, service: Service, sending: Promise<void>): Promise<HarnessState> {
    print([
      '',
      `Going on at ${count(KEEP_PACKETS_PER_SECOND)} packets/s until Ctrl-C.`,
      ...(service.admin === null
        ? []
        : [`Its numbers: http://${formatHostPort(service.admin)}/metrics (and /summary, /healthz)`]),
      '',
    ])
    await Promise.race([this.watch(harness, service, Number.POSITIVE_INFINITY, new Promise(() => {})), sending])
    harness.stopSending()
    await sending
    await service.close()
    const state = await harness.state()
    this.live.clear()
    print([
      headline(verdictSentence(state.verdict), isPerfect(state.verdict)),
      ...state.verdict.examples.map((example) => `  ${example}`),
    ])
    return state
  }

  private async openService(harness: DemoHarness): Promise<Service> {
    const { workers, receiver, admin, logLevel } = this.options
    const log = openCommandLog(this.options, () => this.live.clear())
    const isQuiet = logLevel === 'error' || logLevel === 'fatal' || logLevel === 'silent'
    const options = await runOptions({
      to: `http://127.0.0.1:${harness.originPort}`,
      listen: 'vxlan:127.0.0.1:0',
      'allow-from': '127.0.0.0/8',
      'receive-buffer-bytes': String(RECEIVE_BUFFER_BYTES),
      workers: String(workers),
      receiver,
      admin: admin === null ? 'off' : formatHostPort(admin),
    })
    return await Service.open(
      serviceOptions(options, new MonotonicClock(), (event, ...rest) => {
        // The demo has words of its own for how it goes.
        if (!isQuiet && LOG_EVENTS[event].level !== 'info') log.event(event, ...rest)
      }),
    )
  }

  private introduction(harness: DemoHarness, service: Service): string[] {
    const { workers, requests } = this.options
    const threads = workers === 0 ? 'none: everything on the main thread' : plural(workers, 'worker thread')
    const buffer = Math.round(service.grantedBufferBytes[0]! / 2 / 1024)
    return [
      'mirrorshard demo: mirrored packets in, the same HTTP requests out',
      '',
      `  mirror    ${plural(requests, 'request')} in VXLAN to UDP ${formatHostPort(service.listening[0]!)}`,
      `            ${count(PACKETS_PER_SECOND)} packets/s, generated from seed ${SEED}`,
      `  receiver  ${service.receiverKind}, receive buffer ${buffer} KiB`,
      `  shards    ${threads}`,
      `  origin    http://127.0.0.1:${harness.originPort}`,
      ...(service.admin === null ? [] : [`  admin     http://${formatHostPort(service.admin)}/metrics`]),
      '',
    ]
  }
}

/** The demo is `run` with these flags: all else is at its default, whatever the environment says. */
async function runOptions(flags: Readonly<Record<string, string>>): Promise<RunOptions> {
  const given = new Map(
    Object.entries(flags).map(([flag, text]) => [
      flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()),
      [text],
    ]),
  )
  const { options } = await resolveOptions('run', { flags: given, arguments: [], faults: [] }, {})
  return options
}

function suggestions(keep: boolean): string[] {
  const program = programName()
  const steps = [
    keep
      ? ['Send its requests to a test environment', `${program} replay FILE.pcap --to http://staging:8080`]
      : ['Watch the metrics while traffic goes on', `${program} demo --keep --admin 127.0.0.1:9464`],
    ['See the HTTP in a capture file of your own', `${program} inspect FILE.pcap --format table`],
    ['Send live mirrored traffic (VXLAN on UDP 4789) to a test environment', `${program} run --to http://staging:8080`],
  ]
  return ['What to try next', ...steps.flatMap(([what, line]) => [`  ${what}`, `    ${line}`])]
}

/** As the user would type it again. */
function programName(): string {
  const script = process.argv[1] ?? ''
  return basename(script) === 'main.js' ? `node ${relative('', script)}` : 'mirrorshard'
}

function headline(text: string, isGood: boolean): string {
  const hasColour = process.stdout.isTTY && (process.env.NO_COLOR ?? '') === ''
  return hasColour ? `\x1b[1;${isGood ? 32 : 31}m${text}\x1b[0m` : text
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}
