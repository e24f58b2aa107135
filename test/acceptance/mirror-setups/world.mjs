// Three network namespaces of one set-up, as production and a mirror target stand:
//
//   client 10.50.0.1 ── 10.50.0.2 web │ production │ out0 10.51.0.1 ── 10.51.0.2 in0 │ target
//                          tc mirrors web into vxlan0, which sends to the target │
import { spawn, spawnSync } from 'node:child_process'

const CLIENT = '10.50.0.1'
const SERVER = '10.50.0.2'
export const SOURCE = '10.51.0.1'
export const TARGET = '10.51.0.2'

export class World {
  /** @param name unlike that of any other on this machine */
  constructor(name) {
    this.client = `${name}-c`
    this.production = `${name}-p`
    this.target = `${name}-t`
    this.children = []
  }

  open() {
    for (const name of [this.client, this.production, this.target]) {
      run('ip', 'netns', 'add', name)
      this.in(name, 'ip', 'link', 'set', 'lo', 'up')
    }
    this.link(this.client, 'cli0', CLIENT, this.production, 'web', SERVER, 1500)
    // Room for the encapsulation.
    this.link(this.production, 'out0', SOURCE, this.target, 'in0', TARGET, 9000)
    // Frames as they are on a wire, not as the card is given them to cut up.
    for (const [name, device] of [
      [this.client, 'cli0'],
      [this.production, 'web'],
    ]) {
      this.in(name, 'ip', 'link', 'set', device, 'gso_max_segs', '1')
    }
  }

  /** The device whose packets go to the target. */
  tunnel({ port = 4789, vni = 7, quiet = true } = {}) {
    const remote = ['id', String(vni), 'remote', TARGET, 'dstport', String(port), 'dev', 'out0', 'nolearning']
    this.in(this.production, 'ip', 'link', 'add', 'vxlan0', 'type', 'vxlan', ...remote)
    // Discovery of its own would be mirrored traffic, too.
    if (quiet) this.in(this.production, 'sysctl', '-qw', 'net.ipv6.conf.vxlan0.disable_ipv6=1')
    this.in(this.production, 'ip', 'link', 'set', 'vxlan0', 'mtu', '8950', 'up')
  }

  /** @param directions of ingress (what clients send) and egress */
  mirror(directions = ['ingress', 'egress'], match = ['u32', '0', '0']) {
    this.in(this.production, 'tc', 'qdisc', 'add', 'dev', 'web', 'clsact')
    for (const direction of directions) {
      const action = ['action', 'mirred', 'egress', 'mirror', 'dev', 'vxlan0']
      this.in(
        this.production,
        'tc',
        'filter',
        'add',
        'dev',
        'web',
        direction,
        'protocol',
        'ip',
        'u32',
        'match',
        ...match,
        ...action,
      )
    }
  }

  /** Neighbour discovery of the tunnel device, again and again. */
  chatter() {
    this.spawn(
      this.production,
      [
        'sh',
        '-c',
        'while :; do ip address add fe80::7/64 dev vxlan0; sleep 0.3; ip address del fe80::7/64 dev vxlan0; done',
      ],
      { stdio: 'ignore' },
    )
  }

  /** The source needs no answer of the target to reach it. */
  knowTarget() {
    const [{ address }] = JSON.parse(this.in(this.target, 'ip', '-json', 'link', 'show', 'in0'))
    this.in(this.production, 'ip', 'neigh', 'replace', TARGET, 'lladdr', address, 'dev', 'out0', 'nud', 'permanent')
  }

  /** A rule of a firewall. */
  nft(name, hook, ...rule) {
    this.in(name, 'nft', 'add', 'table', 'ip', 'try')
    this.in(name, 'nft', `add chain ip try ${hook} { type filter hook ${hook} priority 0; }`)
    this.in(name, 'nft', `add rule ip try ${hook} ${rule.join(' ')}`)
  }

  in(name, ...command) {
    return run('ip', 'netns', 'exec', name, ...command)
  }

  spawn(name, command, options = {}) {
    const child = spawn('ip', ['netns', 'exec', name, ...command], { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    this.children.push(child)
    return child
  }

  traffic(kind) {
    this.spawn(this.client, [process.execPath, PEER, 'client', kind, SERVER], { stdio: 'ignore' })
  }

  serve() {
    this.spawn(this.production, [process.execPath, PEER, 'server'], { stdio: 'ignore' })
  }

  async close() {
    const ended = this.children.map(
      (child) => (child.exitCode ?? child.signalCode) === null && new Promise((resolve) => child.once('exit', resolve)),
    )
    for (const child of this.children) child.kill('SIGKILL')
    await Promise.all(ended)
    for (const name of [this.client, this.production, this.target]) spawnSync('ip', ['netns', 'delete', name])
  }

  link(nameA, deviceA, addressA, nameB, deviceB, addressB, mtu) {
    run(
      'ip',
      'link',
      'add',
      deviceA,
      'netns',
      nameA,
      'mtu',
      String(mtu),
      'type',
      'veth',
      'peer',
      'name',
      deviceB,
      'netns',
      nameB,
      'mtu',
      String(mtu),
    )
    for (const [name, device, address] of [
      [nameA, deviceA, addressA],
      [nameB, deviceB, addressB],
    ]) {
      this.in(name, 'ip', 'address', 'add', `${address}/24`, 'dev', device)
      this.in(name, 'ip', 'link', 'set', device, 'up')
    }
  }
}

export const PEER = 'test/acceptance/mirror-setups/peer.mjs'

function run(program, ...words) {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${stderr || stdout}`)
  return stdout
}
