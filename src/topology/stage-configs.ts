/** From checked options to what each stage is told. The one place that knows both vocabularies. */
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ClockAnchor } from '../base/clock.ts'
import { describeSystemError, MirrorError } from '../base/errors.ts'
import { printable } from '../base/printable.ts'
import { readSecretFile } from '../base/secret-file.ts'
import type { InspectOptions, ReplayOptions, RunOptions } from '../config/options.ts'
import { networkListOf } from '../decapsulation/networks.ts'
import type { BodyUse } from '../exchange/exchange.ts'
import type { SelectionOptions } from '../sinks/filter/selection.ts'
import { certificatesFault, keyFault } from '../sinks/replay/client-certificate.ts'
import { REPLAY_DEFAULTS } from '../sinks/replay/options.ts'
import type { PacketPipelineOptions } from './packet-pipeline.ts'
import type { ShardConfig, SinkConfig } from './shard-config.ts'

type TrafficOptions = RunOptions | ReplayOptions | InspectOptions
type SendingOptions = RunOptions | ReplayOptions

/** Offline a request may take as long as its own time-outs allow: setTimeout's longest wait, 24.8 days. */
const NO_DRAIN_LIMIT_MS = 0x7fffffff
/** 128 bits: nobody tries all keys. */
const MIN_KEY_BYTES = 16
/** An RSA key of 16,384 bits is 12 KiB of PEM. */
const MAX_KEY_BYTES = 64 * 1024

/** @param isLive live traffic has its source list enforced by default; files only when one is given */
export function packetPipelineOptions(o: TrafficOptions, isLive: boolean): PacketPipelineOptions {
  const allowFrom = networkListOf(o.allowFrom)
  return {
    decapsulation: {
      vlanDepth: o.vlanDepth,
      tunnelDepth: o.tunnelDepth,
      verifyChecksums: o.verifyChecksums,
      fragments: { datagrams: o.fragmentDatagrams, bytes: o.fragmentBytes, timeoutMs: o.fragmentTimeoutMs },
      // Of a mirrored datagram the socket tells the source, which is checked before.
      allowFrom: isLive ? null : allowFrom,
      vnis: o.vni === null ? null : new Set(o.vni),
      vxlanPorts: o.vxlanPort ?? [],
    },
    dispatch: {
      vniInKey: o.flowKey !== 'five-tuple',
      vlanInKey: o.flowKey === 'vlan',
      ports: o.ports === null ? null : new Set(o.ports),
      hashKey: randomInt(0x100000000) | 0,
    },
  }
}

export function shardConfigOf(
  o: TrafficOptions,
  sinkConfig: SinkConfig,
  isLive: boolean,
  clockAnchor: ClockAnchor,
  rate: number | null,
): ShardConfig {
  const share = (n: number) => Math.max(1, Math.ceil(n / Math.max(1, o.workers)))
  return {
    reassembly: {
      maxFlows: share(o.maxFlows),
      vniInKey: o.flowKey !== 'five-tuple',
      vlanInKey: o.flowKey === 'vlan',
      overlap: o.overlap,
      idleTimeoutMs: o.flowIdleTimeoutMs,
      openingTimeoutMs: o.flowOpeningTimeoutMs,
      closingTimeoutMs: o.flowClosingTimeoutMs,
      outOfOrderBytes: o.outOfOrderBytes,
      outOfOrderTotalBytes: o.outOfOrderTotalBytes,
      reorderWindowPackets: o.reorderWindowPackets,
      reorderWindowMs: o.reorderWindowMs,
    },
    http: {
      maxHeadBytes: o.maxHeadBytes,
      maxHeaders: o.maxHeaders,
      maxBodyBytes: o.maxBodyBytes,
      upgradeWaitMs: o.upgradeWaitMs,
      connectionBytes: share(o.connectionBytes),
      messageBytes: share(o.messageBytes),
      ports: o.ports,
    },
    sinks: [sinkConfig],
    isLive,
    clockAnchor,
    ratePerSecond: rate,
    drainTimeoutMs: 'drainTimeoutMs' in o ? o.drainTimeoutMs : NO_DRAIN_LIMIT_MS,
  }
}

/** What run and replay do with requests. Bounds of the whole process are shared out over the shards. */
export function sendingSinkConfig(o: SendingOptions, isLive: boolean): SinkConfig {
  const selection: SelectionOptions = {
    methods: o.methods ?? [],
    include: o.include ?? [],
    exclude: o.exclude ?? [],
    percent: o.percent,
    sampleBy: o.sampleBy.by === 'header' ? `header:${o.sampleBy.name}` : o.sampleBy.by,
  }
  if (o.to === null) return { kind: 'discard', name: 'null', options: { ...selection, shed: isLive } }
  const share = (n: number) => Math.max(1, Math.ceil(n / Math.max(1, o.workers)))
  return {
    kind: 'replay',
    name: o.to.origin,
    origin: o.to.href,
    options: {
      ...selection,
      connections: share(o.connections),
      engine: o.engine,
      order: o.order,
      keepHost: o.keepHost,
      shed: isLive,
      queueRequests: share(o.queueRequests),
      queueBytes: share(o.queueBytes),
      connectTimeoutMs: o.connectTimeoutMs,
      headersTimeoutMs: o.headersTimeoutMs,
      bodyTimeoutMs: o.bodyTimeoutMs,
      requestTimeoutMs: o.requestTimeoutMs,
      keepAliveTimeoutMs: o.keepAliveTimeoutMs,
      circuitFailures: o.circuitFailures,
      circuitOpenMs: o.circuitOpenMs,
      circuitMaxOpenMs: REPLAY_DEFAULTS.circuitMaxOpenMs,
      offlineGiveUpMs: REPLAY_DEFAULTS.offlineGiveUpMs,
      ...tlsFiles(o),
      ...(o.tlsServerName === null ? {} : { tlsServerName: o.tlsServerName }),
      maxAnswerBytes: o.maxAnswerBytes,
      ...(o.tlsInsecure ? { tlsInsecure: true } : {}),
    },
  }
}

export function printingSinkConfig(o: InspectOptions): SinkConfig {
  const bodies: BodyUse = o.bodies === 'base64' ? 'keep' : o.bodies
  const redaction = o.redact === null ? null : { headers: o.redact, key: redactionKey(o.redactKeyFile) }
  return { kind: 'print', name: 'inspect', options: { format: o.format, bodies, redaction, steps: o.pipeline } }
}

function redactionKey(path: string | null): Uint8Array | null {
  if (path === null) return null
  const key = readSecretFile('--redact-key-file', path)
  if (key.length >= MIN_KEY_BYTES) return key
  throw new MirrorError(
    'ERR_CONFIG',
    `--redact-key-file ${printable(path)}: the key has ${key.length} bytes, at least ${MIN_KEY_BYTES} are needed: openssl rand -hex 32 makes one`,
  )
}

/** PEM texts of the TLS options. @throws MirrorError ERR_CONFIG that names option, file and what is wrong */
function tlsFiles(o: SendingOptions): { tlsCa?: string; tlsCert?: string; tlsKey?: string } {
  const files: { tlsCa?: string; tlsCert?: string; tlsKey?: string } = {}
  if (o.tlsCa !== null) files.tlsCa = readCertificates('--tls-ca', o.tlsCa)
  if (o.tlsCert !== null && o.tlsKey !== null) {
    files.tlsCert = readCertificates('--tls-cert', o.tlsCert)
    files.tlsKey = readSecretFile('--tls-key', o.tlsKey, MAX_KEY_BYTES).toString('latin1')
    const fault = keyFault(files.tlsKey, files.tlsCert)
    if (fault !== null) throw new MirrorError('ERR_CONFIG', `--tls-key ${printable(o.tlsKey)}: ${fault}`)
  }
  return files
}

function readCertificates(option: string, path: string): string {
  let pem: string
  try {
    pem = readFileSync(path, 'utf8')
  } catch (error) {
    throw new MirrorError('ERR_CONFIG', `${option}: cannot read ${printable(path)}: ${describeSystemError(error)}`, {
      cause: error,
    })
  }
  const fault = certificatesFault(pem)
  if (fault !== null) throw new MirrorError('ERR_CONFIG', `${option} ${printable(path)}: ${fault}`)
  return pem
}
