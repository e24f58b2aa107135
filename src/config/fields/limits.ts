/** Bounds on memory and waiting: reaching one is a counted drop. Options of run, replay and inspect. */
import { computed, optional } from '../field.ts'
import { bytes, durationMs, integer, number, powerOfTwoBytes } from '../kind.ts'
import { defaultMemoryLimit } from '../memory-budget.ts'

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB
const DAY_MS = 86_400_000
const group = 'Limits and time-outs (advanced)'

const reorderWindowMs = durationMs(0, DAY_MS)
const reorderWindow = {
  group,
  value: 'MS',
  help: 'Time that late TCP segments have to arrive before a gap is declared.',
} as const

/** Time runs on the clock. */
export const LIVE_LIMIT_FIELDS = {
  reorderWindowMs: optional(reorderWindowMs, 2000, {
    ...reorderWindow,
    reason:
      'Mirrors deliver milliseconds out of order, but a lost segment is sent again after a second; only requests behind a gap wait.',
  }),
  shedAbove: optional(number(1, 100, 'a number from 1 to 100'), 50, {
    group,
    value: 'PERCENT',
    help: 'A ring filled above this has whole connections shed, more of them the fuller it is, so that the others stay whole. 100: never; a full ring drops single packets.',
    reason:
      'Half of --ring-bytes rides out bursts and collections; the other half is the way over which the share grows, and keeps it calm.',
  }),
}

/** Time is the packets’ own. */
export const FILE_LIMIT_FIELDS = {
  reorderWindowMs: optional(reorderWindowMs, 60_000, {
    ...reorderWindow,
    reason: 'In a file waiting costs nothing: it is packet time, and --reorder-window-packets ends it earlier.',
  }),
}

export const LIMIT_FIELDS = {
  memoryLimit: computed(
    bytes(64 * MIB, 16 * 1024 * GIB),
    defaultMemoryLimit,
    'half of the machine’s, or 3/4 of a container’s',
    {
      group,
      value: 'BYTES',
      help: 'Most memory of the process. Divided among all that can grow (docs/memory.md); options that name a part override its share.',
      reason:
        'In a container the memory is there for this process; on a machine socket buffers, the page cache and others need some. Parts that fit with their own defaults keep them.',
    },
  ),
  maxFlows: optional(integer(1, 16_000_000), 1_000_000, {
    group,
    value: 'N',
    help: 'Most TCP connections tracked at once, of the whole process.',
    reason: 'Above what one mirror target of production scale carries, and a bound for SYN floods.',
  }),
  flowOpeningTimeoutMs: optional(durationMs(1, DAY_MS), 60_000, {
    group,
    value: 'MS',
    help: 'A connection whose handshake is not complete and that sent no data is forgotten when it was silent for this long.',
    reason: 'Suricata’s default for new flows; Linux gives up a SYN after 63 s of repeating its answer.',
  }),
  flowIdleTimeoutMs: optional(durationMs(1, DAY_MS), 600_000, {
    group,
    value: 'MS',
    help: 'A connection without packets for this long is forgotten.',
    reason:
      'Suricata’s default for established connections; longer than the idle time-outs of common load balancers (350 s) and servers.',
  }),
  flowClosingTimeoutMs: optional(durationMs(1, DAY_MS), 10_000, {
    group,
    value: 'MS',
    help: 'A closed connection is remembered for this long.',
    reason: 'Late retransmissions still find it, and are not taken for a new connection.',
  }),
  outOfOrderBytes: optional(bytes(1, GIB), MIB, {
    group,
    value: 'BYTES',
    help: 'Bytes held per direction of a connection while earlier ones are missing.',
    reason: 'What a fast connection has under way: 10 Gbit/s at 0.8 ms, 100 Mbit/s at 80 ms.',
  }),
  outOfOrderTotalBytes: optional(bytes(64 * KIB, 64 * GIB), 64 * MIB, {
    group,
    value: 'BYTES',
    help: 'The same for all connections of a shard.',
    reason: 'Suricata’s default for its streams.',
  }),
  reorderWindowPackets: optional(integer(0, 1_000_000), 4096, {
    group,
    value: 'N',
    help: 'Packets of the connection that late TCP segments may come behind before a gap is declared.',
    reason:
      'A retransmission may cover bytes that were sent hundreds of small segments ago. On most connections --reorder-window-ms ends first.',
  }),
  maxHeadBytes: optional(bytes(KIB, 16 * MIB), 64 * KIB, {
    group,
    value: 'BYTES',
    help: 'Longest head of a message: first line and headers.',
    reason: 'Common servers and load balancers refuse heads above 8 to 64 KiB.',
  }),
  maxHeaders: optional(integer(1, 65_535), 512, {
    group,
    value: 'N',
    help: 'Most header lines of a message.',
    reason: 'Apache’s default is 100, the highest in common use; the rest is room.',
  }),
  maxBodyBytes: optional(bytes(0, GIB), 8 * MIB, {
    group,
    value: 'BYTES',
    help: 'Longest body of a message.',
    reason: 'A body is held whole until its request can leave. --message-bytes bounds all of them together.',
  }),
  connectionBytes: computed(bytes(MIB, 256 * GIB), () => 256 * MIB, 'its share, at most 256MiB a shard', {
    group,
    value: 'BYTES',
    help: 'Memory for the HTTP state of connections that carry data, of the whole process: about 2 KiB each. Beyond it the longest silent one gives way.',
    reason: 'A quarter of a shard’s heap: room for 131,072 connections in each, and for the collector to work.',
  }),
  messageBytes: computed(bytes(MIB, 256 * GIB), () => 512 * MIB, 'its share, at most 512MiB', {
    group,
    value: 'BYTES',
    help: 'Memory for messages being read, of the whole process. Beyond it the oldest of them is dropped and counted.',
    reason:
      '64 bodies of the longest kind at once. One that never ends is the oldest soon, and makes room for those that do.',
  }),
  upgradeWaitMs: optional(durationMs(1, DAY_MS), 5000, {
    group,
    value: 'MS',
    help: 'Longest wait for the server’s answer to CONNECT or an upgrade before HTTP ends there.',
    reason:
      'What follows cannot be read without knowing the answer; where the mirror carries no answers none will come.',
  }),
  fragmentBytes: optional(bytes(64 * KIB, 4 * GIB), 16 * MIB, {
    group,
    value: 'BYTES',
    help: 'Bytes of IP fragments held.',
    reason: 'Linux holds 4 MiB per network namespace; a mirror carries the fragments of many hosts.',
  }),
  fragmentDatagrams: optional(integer(1, 1_000_000), 4096, {
    group,
    value: 'N',
    help: 'Datagrams whose IP fragments are held.',
    reason: 'Bounds the work of a flood of tiny fragments, which --fragment-bytes does not.',
  }),
  fragmentTimeoutMs: optional(durationMs(1, DAY_MS), 30_000, {
    group,
    value: 'MS',
    help: 'Longest wait for the rest of a fragmented datagram.',
    reason: 'Linux’s own (net.ipv4.ipfrag_time).',
  }),
  ringBytes: optional(powerOfTwoBytes(256 * KIB, GIB), 16 * MIB, {
    group,
    value: 'BYTES',
    help: 'Ring buffer between the receiver and each shard.',
    reason:
      'About 40,000 packets of 400 bytes: rides out a garbage collection of the shard at any rate one shard can follow.',
  }),
  vlanDepth: optional(integer(0, 16), 4, {
    group,
    value: 'N',
    help: 'Most VLAN tags on a frame.',
    reason: 'Two are in common use (QinQ); the rest is room.',
  }),
  tunnelDepth: optional(integer(0, 16), 4, {
    group,
    value: 'N',
    help: 'Most tunnels inside each other.',
    reason: 'Mirrored overlay traffic has two or three; a bound keeps crafted packets cheap.',
  }),
  shardHeapMb: optional(integer(64, 65_536), 1024, {
    group,
    value: 'MIB',
    help: 'JavaScript heap of a shard thread, in MiB. A shard that needs more is restarted and its loss counted.',
    reason: 'Bodies and rings lie outside this heap.',
  }),
}
