// The set-ups: what is made wrong, and the finding that must be told. `name` for --only; `nft`: needs that program.
import { SOURCE, TARGET } from './world.mjs'

/** As it should be: everything else is this with one thing wrong. */
const RIGHT = {
  traffic: 'get',
  tunnel: {},
  mirror: [],
  options: [],
  listen: ['--listen', 'vxlan:0.0.0.0:4789'],
  to: 'http://127.0.0.1:9000',
}

const SETUPS = [
  { name: 'right', what: 'nothing is wrong', expect: null },
  { name: 'no-filter', what: 'no tc filter: nothing is mirrored', expect: 'noPackets', mirror: null },
  {
    name: 'no-filter-ipv6',
    what: 'no tc filter, and the vxlan device itself sends IPv6 discovery',
    expect: 'noTcp',
    mirror: null,
    tunnel: { quiet: false },
    // As it does by itself now and then.
    change: (world) => world.chatter(),
  },
  {
    name: 'lost-on-the-way',
    what: 'a firewall between drops the datagrams (as a security group does)',
    expect: 'noPackets',
    nft: true,
    change: (world) => world.nft(world.production, 'output', 'udp dport 4789 drop'),
  },
  { name: 'wrong-port', what: 'the mirror sends to UDP 8472', expect: 'udpPortUnused', tunnel: { port: 8472 } },
  {
    name: 'loopback',
    what: '`--listen 127.0.0.1:4789`',
    expect: 'loopbackOnly',
    listen: ['--listen', 'vxlan:127.0.0.1:4789'],
  },
  {
    name: 'firewall',
    what: 'the firewall of the host drops UDP 4789',
    expect: 'filteredByHost',
    nft: true,
    change: (world) => world.nft(world.target, 'input', 'udp dport 4789 drop'),
  },
  {
    name: 'reverse-path',
    what: '`rp_filter=1`, and the source is routed elsewhere',
    expect: 'reversePathFilter',
    change(world) {
      world.in(world.target, 'sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1', 'net.ipv4.conf.in0.rp_filter=1')
      world.in(world.target, 'ip', 'link', 'add', 'other', 'type', 'veth', 'peer', 'name', 'other1')
      world.in(world.target, 'ip', 'link', 'set', 'other', 'up')
      world.in(world.target, 'ip', 'route', 'add', `${SOURCE}/32`, 'dev', 'other')
      world.knowTarget()
    },
  },
  {
    name: 'gre',
    what: 'the mirror sends IP protocol 47 (GRE)',
    expect: 'ipProtocolUnknown',
    nft: true,
    change: (world) => world.nft(world.production, 'output', 'udp dport 4789 ip protocol set 47'),
  },
  {
    name: 'geneve',
    what: 'the mirror sends GENEVE to 4789',
    expect: 'wrongFormat',
    nft: true,
    // The header of VXLAN turned into that of GENEVE: version 0, no options, protocol type 0x6558; the VNI stands where it stood.
    change: (world) => world.nft(world.production, 'output', 'udp dport 4789 @th,64,32 set 0x00006558'),
  },
  {
    name: 'vxlan-for-geneve',
    what: '`--listen geneve:0.0.0.0:4789`, and the mirror sends VXLAN',
    expect: 'wrongFormat',
    listen: ['--listen', 'geneve:0.0.0.0:4789'],
  },
  { name: 'wrong-vni', what: '`--vni 42`, and the mirror sends VNI 7', expect: 'wrongVni', options: ['--vni', '42'] },
  {
    name: 'source',
    what: '`--allow-from 192.168.0.0/16`, and the mirror sends from 10.51.0.1',
    expect: 'sourceNotAllowed',
    options: ['--allow-from', '192.168.0.0/16'],
  },
  {
    name: 'ports',
    what: '`--ports 80,443`, and the servers are on 8080',
    expect: 'otherPorts',
    options: ['--ports', '80,443'],
  },
  {
    name: 'datagram-bytes',
    what: '`--datagram-bytes 576`, and requests of 1,000 bytes',
    expect: 'datagramTooLong',
    traffic: 'post',
    options: ['--datagram-bytes', '576'],
  },
  {
    name: 'udp-only',
    what: 'the filter takes UDP alone',
    expect: 'noTcp',
    traffic: 'udp',
    mirror: [
      ['ingress', 'egress'],
      ['ip', 'protocol', '17', '0xff'],
    ],
  },
  { name: 'ingress-only', what: 'only ingress is mirrored', expect: 'requestsOnly', mirror: [['ingress']] },
  { name: 'egress-only', what: 'only egress is mirrored', expect: 'responsesOnly', mirror: [['egress']] },
  { name: 'tls', what: 'clients speak TLS', expect: 'tlsOnly', traffic: 'tls' },
  { name: 'http2', what: 'clients speak HTTP/2', expect: 'http2Only', traffic: 'http2' },
  {
    name: 'methods',
    what: '`--methods POST`, and clients send GET',
    expect: 'allFiltered',
    options: ['--methods', 'POST'],
  },
  { name: 'percent', what: '`--percent 0`', expect: 'allFiltered', options: ['--percent', '0'] },
  { name: 'loop', what: 'the mirror sees the replay', expect: 'loop', traffic: 'marked' },
  { name: 'origin-refuses', what: 'nobody listens at `--to`', expect: 'originDown', to: 'http://127.0.0.1:9' },
  {
    name: 'origin-tls',
    what: '`--to https://`, and the origin speaks HTTP',
    expect: 'originDown',
    to: 'https://127.0.0.1:9000',
  },
  {
    name: 'origin-unreachable',
    what: 'no host has the address of `--to`',
    expect: 'originDown',
    to: `http://${TARGET.replace(/\d+$/, '77')}:80`,
  },
  {
    name: 'origin-filtered',
    what: 'a firewall drops what goes to `--to`',
    expect: 'originDown',
    nft: true,
    change: (world) => world.nft(world.target, 'output', 'tcp dport 9000 drop'),
  },
]

export const ALL_SETUPS = SETUPS.map((setup) => ({ ...RIGHT, ...setup }))
