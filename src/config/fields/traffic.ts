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
  help: 'Networks that outer packets may come from. Packets from others are dropped and counted.',
  reason:
    'Anyone who can send UDP to the port can have requests replayed, so by default only loopback, private and link-local sources are accepted. `0.0.0.0/0,::/0` accepts all.',
} as const

/** Of run, replay and inspect. */
export const TRAFFIC_FIELDS = {
  ports: unset(listOf(integer(1, 65_535, 'a TCP port from 1 to 65535')), 'any', {
    reloads: true,
    group: 'Traffic',
    value: 'PORT,…',
    help: 'Server ports to read; other TCP traffic is skipped.',
    reason: 'HTTP is recognised by its content, so name ports only to leave services out.',
  }),
  vni: unset(listOf(integer(0, 16_777_215, 'a VNI from 0 to 16777215')), 'any', {
    reloads: true,
    group: 'Traffic',
    value: 'VNI,…',
    help: 'VNIs to read; packets of other VNIs are dropped and counted.',
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
      help: 'UDP ports of VXLAN inside captures and mirrored packets, besides 4789 and 8472. --listen says where to listen.',
      reason: 'RFC 7348 assigns port 4789 to VXLAN, Linux uses 8472 by default, and every network may choose another.',
    },
  ),
  flowKey: optional(choice('five-tuple', 'vni', 'vlan'), 'five-tuple', {
    group: 'Traffic',
    value: 'five-tuple|vni|vlan',
    help: 'What identifies a connection. vni: its VNI as well; vlan: its VNI and VLAN tags as well.',
    reason:
      'A connection mirrored at two places arrives under two VNIs; with `five-tuple` it is replayed once. Use `vni` or `vlan` where networks reuse the same addresses.',
  }),
  overlap: optional(choice('linux', 'first', 'last'), 'linux', {
    group: 'Traffic',
    value: 'linux|first|last',
    help: 'Which bytes win where TCP segments overlap and differ.',
    reason: 'The server read one of the two, and most servers run Linux.',
  }),
  verifyChecksums: optional(truth, false, {
    group: 'Traffic',
    help: 'Drop packets with a wrong IP or TCP checksum.',
    reason:
      'Off by default: mirrors and captures often see packets before the network card has filled in the checksum.',
  }),
}

/** Of run. */
export const LISTEN_FIELDS = {
  listen: optional(listOf(listen), [{ format: 'vxlan', host: '0.0.0.0', port: 4789 }], {
    group: 'Traffic',
    value: '[FORMAT:]HOST:PORT',
    help: 'UDP address of the mirror target; may be repeated. FORMAT is vxlan, gpe, geneve or tzsp. By default port 4790 is gpe, 6081 geneve, 37008 tzsp and any other vxlan.',
    reason:
      '4789 is the port of VXLAN (RFC 7348), which AWS VPC Traffic Mirroring sends. The TCP port of the same number accepts and closes connections, for load balancers’ health checks.',
  }),
  reusePort: optional(truth, false, {
    group: 'Traffic',
    help: 'Let a new process bind the same ports before this one ends, for a hand-over without loss (docs/operations.md). Both need this option. recvmmsg only.',
    reason: 'When off, a second process started by mistake is refused instead of taking the traffic.',
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
    help: 'Pace: 1 is as captured, 2.5 is 2.5 times as fast, max does not wait.',
    reason: 'The pattern of the traffic is part of what a test environment should see.',
  }),
  maxPause: optional(durationMsOrOff(1, LONGEST_PAUSE_MS), 60_000, {
    group: 'Traffic',
    value: 'DURATION|off',
    help: 'Longest wait for the next packet. The rest of a longer pause in the capture is skipped and reported. off, or 0, waits for all of it.',
    reason:
      'One wrong time stamp would delay the rest of the file for hours. off keeps times exact, for coordinated replays on several machines.',
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
    help: 'Packets to take from --interface, in libpcap’s filter syntax.',
  }),
  captureBufferBytes: optional(bytes(2 * 1024 ** 2, 1024 ** 3), 64 * 1024 ** 2, {
    group: 'Limits and time-outs (advanced)',
    value: 'BYTES',
    help: 'Kernel buffer of --interface.',
    reason: 'libpcap reserves up to 128 KiB for each packet here, so 64 MiB hold 511.',
  }),
}

const interfaceName = words('the name of a network interface, such as lo or eth0')

export const RUN_INTERFACE_FIELD = {
  interface: unset(interfaceName, 'off', {
    group: 'Traffic',
    value: 'IFACE',
    help: 'Take packets from a network interface (package cap) instead of --listen: for local testing, GRE, ERSPAN.',
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
    reason: 'Enough to look at, and it does not fill the disk when forgotten.',
  }),
}

/** Of run, replay, inspect and demo. */
export const WORKER_FIELDS = {
  workers: computed(integer(0, 256), () => Math.max(1, availableParallelism() - 1), 'cores - 1, at least 1', {
    group: 'Threads',
    value: 'N',
    help: 'Shard threads. 0 does everything on one thread.',
    reason: 'The main thread receives and keeps one core. For small files 0 is fastest.',
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
    help: 'Receiving threads. 1: the main thread receives. From 2 on each has its own socket, and the kernel distributes connections among them (recvmmsg only).',
    reason:
      'One thread is enough for most mirrors. More are for machines with spare cores: each has its own receive buffer, and a ring of --ring-bytes to every shard.',
  }),
  receiveBufferBytes: optional(bytes(4096, 1024 ** 3), 32 * 1024 ** 2, {
    group: 'Limits and time-outs (advanced)',
    value: 'BYTES',
    help: 'Receive buffer to request from the kernel for each socket.',
    reason:
      'Holds about 52,000 packets of 240 bytes: 0.4 s at 120,000 packets/s. The kernel may grant less (net.core.rmem_max); the granted size is reported.',
  }),
  datagramBytes: optional(bytes(576, 65_535), 9216, {
    group: 'Limits and time-outs (advanced)',
    value: 'BYTES',
    help: 'Longest datagram received whole; longer ones are truncated.',
    reason: 'Fits a jumbo frame (9,001 bytes in AWS) and its encapsulation.',
  }),
}
