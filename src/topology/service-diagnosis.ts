/** Has a running service diagnosed: readings once a second, findings told as they appear, and all of them when asked. */
import { diagnosisSentence, type Finding, type Setup } from '../report/diagnosis/finding.ts'
import { type Reading, readingOf } from '../report/diagnosis/reading.ts'
import { type Diagnosis, Watch } from '../report/diagnosis/watch.ts'
import type { Totals } from '../report/totals.ts'
import { type KernelNetwork, readKernelNetwork } from '../sources/live/kernel-network.ts'
import type { LiveReceiverOptions } from './live-receiver.ts'
import type { ShardConfig } from './shard-config.ts'

/** One sentence with what to do, and the counts it stands on. */
export type TellFinding = (sentence: string, details: Readonly<Record<string, unknown>>) => void

export interface DiagnosisSources {
  totals(): Totals
  protocolCounts(): readonly [string, number][]
  setup(): Setup
}

/** Of a service whose packets come: how old the kernel's counts may be, which explain why they stopped. */
const KERNEL_EVERY_MS = 10_000

export class ServiceDiagnosis {
  private readonly sources: DiagnosisSources
  private readonly tell: TellFinding
  private readonly watch: Watch
  private kernel: KernelNetwork | null = null
  private kernelMs = 0

  constructor(sources: DiagnosisSources, tell: TellFinding) {
    this.sources = sources
    this.tell = tell
    this.watch = new Watch(this.read(sources.totals()))
  }

  /** Once a second or so. */
  look(totals: Totals): void {
    for (const finding of this.watch.look(this.read(totals), this.sources.setup()))
      this.tell(diagnosisSentence(finding), detailsOf(finding))
  }

  now(): Diagnosis {
    return this.watch.diagnosis(this.read(this.sources.totals()), this.sources.setup())
  }

  private read(totals: Totals): Reading {
    const ms = performance.now()
    const reading = readingOf(ms, totals, this.sources.protocolCounts(), this.kernel)
    // While packets come nobody asks the kernel why none does.
    const isSilent = this.watch === undefined || reading.packets.received === this.watch.latest.packets.received
    if (!isSilent && ms - this.kernelMs < KERNEL_EVERY_MS) return reading
    this.kernel = readKernelNetwork()
    this.kernelMs = ms
    return { ...reading, kernel: this.kernel }
  }
}

function detailsOf({ code, severity, details }: Finding): Readonly<Record<string, unknown>> {
  // Beside each other in one index of logs a key has one type: `packets` of the summary is no number.
  return { finding: code, severity, details }
}

/** @param listening real addresses, in the order of the options */
export function setupOf(
  receiver: Pick<LiveReceiverOptions, 'listen' | 'interface' | 'datagramBytes' | 'packetPipeline'>,
  { sinks }: ShardConfig,
  listening: readonly { readonly host: string; readonly port: number }[],
): Setup {
  const { decapsulation, dispatch } = receiver.packetPipeline
  const [first] = sinks
  const selection = first === undefined || first.kind === 'print' ? null : first.options
  const replaying = sinks.filter(({ kind }) => kind === 'replay')
  return {
    listen: listening.map(({ host, port }, i) => ({ format: receiver.listen[i]!.format, host, port })),
    interface: receiver.interface,
    ports: dispatch.ports === null ? null : [...dispatch.ports],
    vnis: decapsulation.vnis === null ? null : [...decapsulation.vnis],
    datagramBytes: receiver.datagramBytes,
    to: replaying.length === 0 ? null : replaying.map(({ name }) => name).join(', '),
    percent: selection?.percent ?? 100,
    sampleBy: selection?.sampleBy ?? 'random',
  }
}
