/** Bounds on memory and waiting: reaching one is a counted drop. Options of run, replay and inspect. */
import { computed, optional } from '../field.ts'
import { bytes, durationMs, integer, mebibytes, number, powerOfTwoBytes } from '../kind.ts'
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
  help: 'How long to wait for late TCP segments before a gap is declared.',
} as const

/** Time runs on the clock. */
export const LIVE_LIMIT_FIELDS = {
  reorderWindowMs: optional(reorderWindowMs, 2000, {
    ...reorderWindow,
    reason:
      'Mirrors reorder by milliseconds, but a lost segment is retransmitted after a second. Only requests after a pending gap wait.',
  }),
  shedAbove: optional(number(1, 100, 'a number from 1 to 100'), 50, {
    group,
    value: 'PERCENT',
    help: 'Above this fill level of a ring whole connections are shed, more of them the fuller it is, so that the others stay complete. 100: never; a full ring drops single packets.',
    reason:
      'Half of --ring-bytes absorbs bursts and garbage collections. Over the other half the share of shed connections grows gradually, which keeps it stable.',
  }),
}

/** Time is packet time. */
export const FILE_LIMIT_FIELDS = {
  reorderWindowMs: optional(reorderWindowMs, 60_000, {
    ...reorderWindow,
    reason: 'In a file waiting costs nothing, because it is packet time, and --reorder-window-packets ends it earlier.',
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
      help: 'Most memory the process may use. It is divided among everything that can grow (docs/memory.md); options that name a part override its share.',
      reason:
        'A container’s memory is for this process alone; on a machine socket buffers, the page cache and other programs need some. Parts that fit keep their own defaults.',
    },
  ),
  maxFlows: optional(integer(1, 16_000_000), 1_000_000, {
    group,
    value: 'N',
    help: 'Most TCP connections tracked at once, for the whole process.',
    reason: 'More than one mirror target at production scale carries, and a bound for SYN floods.',
  }),
  flowOpeningTimeoutMs: optional(durationMs(1, DAY_MS), 60_000, {
    group,
    value: 'MS',
    help: 'A connection with an incomplete handshake and no data expires after this long without packets.',
    reason: 'Suricata’s default for new flows. Linux gives up on a SYN after 63 s of retransmitting its SYN+ACK.',
  }),
  flowIdleTimeoutMs: optional(durationMs(1, DAY_MS), 600_000, {
    group,
    value: 'MS',
    help: 'A connection expires after this long without packets.',
    reason:
      'Suricata’s default for established connections, and longer than the idle time-outs of common load balancers (350 s) and servers.',
  }),
  flowClosingTimeoutMs: optional(durationMs(1, DAY_MS), 10_000, {
    group,
    value: 'MS',
    help: 'A closed connection is remembered for this long.',
    reason: 'Late retransmissions are then not taken for a new connection.',
  }),
  outOfOrderBytes: optional(bytes(1, GIB), MIB, {
    group,
    value: 'BYTES',
    help: 'Most out-of-order bytes held per direction of a connection while earlier ones are missing.',
    reason: 'What a fast connection has in flight: 10 Gbit/s at 0.8 ms, 100 Mbit/s at 80 ms.',
  }),
  outOfOrderTotalBytes: optional(bytes(64 * KIB, 64 * GIB), 64 * MIB, {
    group,
    value: 'BYTES',
    help: 'The same, for all connections of a shard together.',
    reason: 'Suricata’s default for its streams.',
  }),
  reorderWindowPackets: optional(integer(0, 1_000_000), 4096, {
    group,
    value: 'N',
    help: 'How many packets of the connection to wait for late TCP segments before a gap is declared.',
    reason:
      'A retransmission may cover bytes sent hundreds of small segments ago. On most connections --reorder-window-ms ends the wait first.',
  }),
  maxHeadBytes: optional(bytes(KIB, 16 * MIB), 64 * KIB, {
    group,
    value: 'BYTES',
    help: 'Longest message head: first line and headers.',
    reason: 'Common servers and load balancers refuse heads above 8 to 64 KiB.',
  }),
  maxHeaders: optional(integer(1, 65_535), 512, {
    group,
    value: 'N',
    help: 'Most header lines in a message.',
    reason: 'Apache’s default of 100 is the highest in common use; the rest is headroom.',
  }),
  maxBodyBytes: optional(bytes(0, GIB), 8 * MIB, {
    group,
    value: 'BYTES',
    help: 'Longest message body.',
    reason: 'A body is held until its request can be sent. --message-bytes bounds all bodies together.',
  }),
  connectionBytes: computed(bytes(MIB, 256 * GIB), () => 256 * MIB, 'its share, at most 256MiB a shard', {
    group,
    value: 'BYTES',
    help: 'Memory for the HTTP state of connections that carry data, for the whole process: about 2 KiB each. Beyond it the connection that was silent longest is evicted.',
    reason: 'A quarter of a shard’s heap holds 131,072 connections and leaves the garbage collector room to work.',
  }),
  messageBytes: computed(bytes(MIB, 256 * GIB), () => 512 * MIB, 'its share, at most 512MiB', {
    group,
    value: 'BYTES',
    help: 'Memory for messages being read, for the whole process. Beyond it the oldest message is dropped and counted.',
    reason:
      'Holds 64 bodies of maximum size at once. A body that never ends is soon the oldest, and makes room for those that do.',
  }),
  upgradeWaitMs: optional(durationMs(1, DAY_MS), 5000, {
    group,
    value: 'MS',
    help: 'Longest wait for the server’s response to CONNECT or an upgrade. After it, HTTP ends on that connection.',
    reason:
      'What follows cannot be read without that response; if the mirror does not carry responses, none will come.',
  }),
  fragmentBytes: optional(bytes(64 * KIB, 4 * GIB), 16 * MIB, {
    group,
    value: 'BYTES',
    help: 'Most bytes of IP fragments held.',
    reason: 'Linux holds 4 MiB per network namespace; a mirror carries the fragments of many hosts.',
  }),
  fragmentDatagrams: optional(integer(1, 1_000_000), 4096, {
    group,
    value: 'N',
    help: 'Most datagrams whose IP fragments are held.',
    reason: 'Bounds the work that a flood of tiny fragments causes, which --fragment-bytes does not.',
  }),
  fragmentTimeoutMs: optional(durationMs(1, DAY_MS), 30_000, {
    group,
    value: 'MS',
    help: 'Longest wait for the rest of a fragmented datagram.',
    reason: 'Linux’s default (net.ipv4.ipfrag_time).',
  }),
  ringBytes: optional(powerOfTwoBytes(256 * KIB, GIB), 16 * MIB, {
    group,
    value: 'BYTES',
    help: 'Size of the ring buffer between the receiver and each shard.',
    reason:
      'About 40,000 packets of 400 bytes: enough for a garbage collection of the shard at any rate one shard can handle.',
  }),
  vlanDepth: optional(integer(0, 16), 4, {
    group,
    value: 'N',
    help: 'Most VLAN tags on a frame.',
    reason: 'Two are in common use (QinQ); the rest is headroom.',
  }),
  tunnelDepth: optional(integer(0, 16), 4, {
    group,
    value: 'N',
    help: 'Most nested tunnels.',
    reason: 'Mirrored overlay traffic has two or three; a bound keeps crafted packets cheap.',
  }),
  shardHeapMb: optional(mebibytes(64, 65_536), 1024, {
    group,
    value: 'MIB',
    help: 'JavaScript heap of a shard thread, in MiB. A shard that needs more is restarted and its loss counted.',
    reason: 'Bodies and rings are outside this heap.',
  }),
}
