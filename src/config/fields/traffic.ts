/** What is read and what of it is taken: options of live traffic and of files. */
import { availableParallelism } from 'node:os'
import { type Cidr, formatHostPort, type Listen, parseCidr, parseListen } from '../addresses.ts'
import { computed, optional, required, unset } from '../field.ts'
import { bytes, choice, durationMsOrOff, integer, type Kind, listOf, parsed, truth } from '../kind.ts'
import { Refusal } from '../refusal.ts'
import { filePath, speed, words } from '../text-kinds.ts'

const cidr = {
  ...parsed('a network such as 10.0.0.0/8 or fd00::/8', parseCidr),
  written: (network: Cidr): string => network.text,
} satisfies Kind

/** Loopback, private (RFC 1918, RFC 4193) and link-local: where mirrors stand. A stranger on the internet is refused. */
const NEARBY = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
]

function nearbyNetworks(): Cidr[] {
  return NEARBY.map(parseCidr).filter((network): network is Cidr => !(network instanceof Refusal))
}

const listen = {
  ...parsed('[vxlan:|gpe:|geneve:|tzsp:]HOST:PORT, such as 0.0.0.0:4789 or geneve:[::]:6081', parseListen),
  written: ({ format, ...address }: Listen): string => `${format}:${formatHostPort(address)}`,
} satisfies Kind

/** The kernel's program that shares datagrams out over receivers compares each: chosen, far above what one network has. */
const MOST_VXLAN_PORTS = 16

const allowFromMeta = {
  group: 'Traffic',
  value: 'CIDR,…',
  help: 'Networks the outer packets may come from. Others are dropped and counted.',
  reason:
    'Anyone who can send UDP to the port can have requests replayed, so by default only nearby networks are heard. `0.0.0.0/0,::/0` hears all.',
} as const

/** Of run, replay and inspect. */
export const TRAFFIC_FIELDS = {
  ports: unset(listOf(integer(1, 65_535, 'a TCP port from 1 to 65535')), 'any', {
    reloads: true,
    group: 'Traffic',
    value: 'PORT,…',
    help: 'Server ports to read; other TCP traffic is skipped.',
    reason: 'HTTP is found by its content, so ports need naming only to leave services out.',
  }),
  vni: unset(listOf(integer(0, 16_777_215, 'a VNI from 0 to 16777215')), 'any', {
    reloads: true,
    group: 'Traffic',
    value: 'VNI,…',
    help: 'VNIs to read; packets of others are dropped and counted.',
  }),
  vxlanPort: unset(
    listOf(integer(1, 65_535), {
      expected: `a UDP port from 1 to 65535, at most ${MOST_VXLAN_PORTS} of them`,
      most: MOST_VXLAN_PORTS,
    }),
    '4789, 8472',
    {
      group: 'Traffic',
      value: 'PORT,…',
      help: 'UDP ports of VXLAN inside captures and inside mirrored packets, besides 4789 and 8472. Where to listen is --listen.',
      reason: 'RFC 7348 gives VXLAN port 4789, Linux by itself uses 8472, and every network may choose another.',
    },
  ),
  flowKey: optional(choice('five-tuple', 'vni', 'vlan'), 'five-tuple', {
    group: 'Traffic',
    value: 'five-tuple|vni|vlan',
    help: 'What tells connections apart. vni: the VNI as well; vlan: VNI and VLAN tags.',
    reason:
      'One connection mirrored at two places arrives under two VNIs; with `five-tuple` it is replayed once. Use `vni` or `vlan` where networks reuse the same addresses.',
  }),
  overlap: optional(choice('linux', 'first', 'last'), 'linux', {
    group: 'Traffic',
    value: 'linux|first|last',
    help: 'Which bytes count where TCP segments overlap and differ.',
    reason: 'The server read one of the two, and most servers run Linux.',
  }),
  verifyChecksums: optional(truth, false, {
    group: 'Traffic',
    help: 'Drop packets with a wrong IP or TCP checksum.',
    reason: 'Mirrors and captures often see packets before the network card has filled the checksum in.',
  }),
}

/** Of run. */
export const LISTEN_FIELDS = {
  listen: optional(listOf(listen), [{ format: 'vxlan', host: '0.0.0.0', port: 4789 }], {
    group: 'Traffic',
    value: '[FORMAT:]HOST:PORT',
    help: 'UDP address of the mirror target; may be repeated. FORMAT is vxlan, gpe, geneve or tzsp; without it 4790 is gpe, 6081 geneve, 37008 tzsp, any other port vxlan.',
    reason:
      '4789 is the port of VXLAN (RFC 7348), which AWS VPC Traffic Mirroring sends. The same TCP port accepts and closes, for load balancers’ health checks.',
  }),
  reusePort: optional(truth, false, {
    group: 'Traffic',
    help: 'Let a new process bind the same ports before this one ends, both with this option: hand-over without a gap (docs/operations.md). recvmmsg only.',
    reason: 'Off, a second process started by mistake is refused, instead of taking the traffic.',
  }),
  allowFrom: computed(listOf(cidr), nearbyNetworks, 'loopback, private, link-local', {
    ...allowFromMeta,
    reloads: true,
  }),
}

/** Of replay and inspect: a file that lies here was chosen by whoever runs the command. */
export const FILE_FIELDS = {
  files: required(listOf(filePath), {
    group: 'Traffic',
    from: 'argument',
    value: 'FILE',
    help: 'Capture files (pcap, pcapng, gzip of either), merged in time order; - is standard input.',
  }),
  allowFrom: unset(listOf(cidr), 'any', allowFromMeta),
}

/** A year: nobody waits for longer, and who does says off. */
const LONGEST_PAUSE_MS = 365 * 24 * 3_600_000

/** Of replay. */
export const PLAYBACK_FIELDS = {
  speed: optional(speed, 1, {
    group: 'Traffic',
    value: 'FACTOR|max',
    help: 'Pace: 1 as captured, 2.5 that much faster, max without waiting.',
    reason: 'The pattern of the traffic is part of what a test environment should see.',
  }),
  maxPause: optional(durationMsOrOff(1, LONGEST_PAUSE_MS), 60_000, {
    group: 'Traffic',
    value: 'DURATION|off',
    help: 'Longest wait for the next packet; what a pause in the capture has beyond it is skipped, and told. off, or 0, waits for all of it.',
    reason:
      'One wrong time stamp would hold the rest of the file for hours. off keeps times exact, for replays on several machines that belong together.',
  }),
  loop: optional(integer(1, 1_000_000_000), 1, {
    group: 'Traffic',
    value: 'N',
    help: 'Read the files N times. Each pass starts with an empty flow table.',
  }),
}

/** Of run and capture. */
export const INTERFACE_FIELDS = {
  filter: unset(words('a BPF expression such as "tcp port 80"'), 'all packets', {
    group: 'Traffic',
    value: 'BPF',
    help: 'Packets to take from --interface, in libpcap’s filter language.',
  }),
  captureBufferBytes: optional(bytes(2 * 1024 ** 2, 1024 ** 3), 64 * 1024 ** 2, {
    group: 'Limits and time-outs (advanced)',
    value: 'BYTES',
    help: 'Kernel buffer of --interface.',
    reason: 'libpcap sets up to 128 KiB aside for each packet here: 64 MiB hold 511.',
  }),
}

const interfaceName = words('the name of a network interface, such as lo or eth0')

export const RUN_INTERFACE_FIELD = {
  interface: unset(interfaceName, 'off', {
    group: 'Traffic',
    value: 'IFACE',
    help: 'Take packets from a network interface (package cap) instead of --listen: local testing, GRE, ERSPAN.',
  }),
}

/** Of capture. */
export const CAPTURE_FIELDS = {
  interface: required(interfaceName, {
    group: 'Traffic',
    value: 'IFACE',
    help: 'Network interface to capture from, such as lo or eth0.',
  }),
  out: required(filePath, { group: 'Output', value: 'FILE', help: 'The pcap file to write.' }),
  limit: optional(integer(1, 1_000_000_000), 10_000, {
    group: 'Output',
    value: 'N',
    help: 'Stop after N packets.',
    reason: 'Enough to look at, and no full disk when it is forgotten.',
  }),
}

/** Of run, replay, inspect and demo. */
export const WORKER_FIELDS = {
  workers: computed(integer(0, 256), () => Math.max(1, availableParallelism() - 1), 'cores - 1, at least 1', {
    group: 'Threads',
    value: 'N',
    help: 'Shard threads. 0 does everything on one thread.',
    reason: 'The main thread, which receives, keeps one core. For small files 0 is quickest.',
  }),
}

/** Of run and demo. */
export const RECEIVER_FIELDS = {
  receiver: optional(choice('auto', 'recvmmsg', 'dgram'), 'auto', {
    group: 'Threads',
    value: 'auto|recvmmsg|dgram',
    help: 'How datagrams are received. auto: recvmmsg where package koffi loads, else dgram.',
    reason: 'Batches of recvmmsg cost about a fifth of the CPU of node:dgram.',
  }),
}

/** Of run. */
export const RECEIVE_FIELDS = {
  receivers: optional(integer(1, 64), 1, {
    group: 'Threads',
    value: 'N',
    help: 'Receiving threads. 1: the main thread receives. From 2 on each has a socket of its own, and the kernel shares connections out among them (recvmmsg only).',
    reason:
      'One thread is enough for most mirrors. More threads are for machines with cores to spare: each has a receive buffer of its own, and a ring of --ring-bytes in every shard.',
  }),
  receiveBufferBytes: optional(bytes(4096, 1024 ** 3), 32 * 1024 ** 2, {
    group: 'Limits and time-outs (advanced)',
    value: 'BYTES',
    help: 'Receive buffer asked of the kernel for each socket.',
    reason:
      'Holds about 52,000 packets of 240 bytes: 0.4 s at 120,000 packets/s. The kernel may grant less (net.core.rmem_max); what it granted is reported.',
  }),
  datagramBytes: optional(integer(576, 65_535), 9216, {
    group: 'Limits and time-outs (advanced)',
    value: 'BYTES',
    help: 'Longest datagram taken whole; longer ones are cut.',
    reason: 'A jumbo frame (9,001 bytes in AWS) and its encapsulation.',
  }),
}
