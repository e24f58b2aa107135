/** What one option says about another. Each check runs where all its options exist, after each alone was found right. */
import { formatHostPort, type HostPort, isLoopback } from './addresses.ts'
import { formatBytes } from './quantities.ts'
import type { Setting } from './setting.ts'

interface Check {
  readonly keys: readonly string[]
  /**
   * @param values by key, parsed
   * @param from who gave the option, null for its default
   * @param name how to call the option in a message
   * @returns what is wrong, or null
   */
  fault(
    values: Readonly<Record<string, unknown>>,
    from: (key: string) => Setting['from'] | null,
    name: (key: string) => string,
  ): string | null
}

/** Whether only one of the two can be had. Port 0 is any free one. */
function isSamePort(one: HostPort, other: HostPort): boolean {
  if (one.port === 0 || one.port !== other.port || one.host.includes(':') !== other.host.includes(':')) return false
  return one.host === other.host || [one.host, other.host].some((host) => host === '0.0.0.0' || host === '::')
}

export const CHECKS: readonly Check[] = [
  {
    keys: ['listen', 'interface'],
    fault(_, from, name) {
      // A flag goes before what a file says: `--interface lo` tries out a file made for production.
      const isOverridden = from('interface') === 'flag' && from('listen') !== 'flag'
      if (from('interface') === null || from('listen') === null || isOverridden) return null
      return `${name('interface')} takes packets instead of ${name('listen')}: give one of the two`
    },
  },
  {
    keys: ['filter', 'interface'],
    // In a file the filter may be there for another command.
    fault: (values, from, name) =>
      from('filter') === 'flag' && values.interface === null
        ? `${name('filter')} works on --interface, which is not given`
        : null,
  },
  {
    keys: ['receivers', 'receiver', 'interface', 'workers'],
    fault(values, _, name) {
      const receivers = values.receivers as number
      if (receivers === 1) return null
      if (values.interface !== null)
        return `${name('receivers')} ${receivers} shares out sockets: with ${name('interface')} it must be 1`
      if (values.receiver === 'dgram')
        return `${name('receivers')} ${receivers} needs ${name('receiver')} recvmmsg, got dgram`
      if (values.workers === 0)
        return `${name('receivers')} ${receivers} needs shards in threads of their own: ${name('workers')} must be at least 1, got 0`
      return null
    },
  },
  {
    keys: ['reusePort', 'receiver', 'interface'],
    fault(values, _, name) {
      if (values.reusePort !== true) return null
      if (values.interface !== null) return `${name('reusePort')} shares sockets: ${name('interface')} has none`
      if (values.receiver === 'dgram') return `${name('reusePort')} needs ${name('receiver')} recvmmsg, got dgram`
      return null
    },
  },
  {
    keys: ['loop', 'files'],
    fault: (values, _, name) =>
      (values.loop as number) > 1 && (values.files as string[]).includes('-')
        ? `${name('loop')} ${values.loop} needs files: standard input (-) can be read only once`
        : null,
  },
  {
    keys: ['files'],
    fault: (values) =>
      (values.files as string[]).filter((file) => file === '-').length > 1
        ? 'standard input (-) is given more than once, but can be read only once'
        : null,
  },
  {
    keys: ['listen'],
    fault(values, _, name) {
      const addresses = values.listen as HostPort[]
      const texts = addresses.filter(({ port }) => port !== 0).map(({ host, port }) => `${host} port ${port}`)
      const twice = texts.find((text, i) => texts.indexOf(text) !== i)
      return twice === undefined ? null : `${name('listen')}: ${twice} is given twice`
    },
  },
  {
    // Each listen port is a TCP port too: load balancers check it.
    keys: ['listen', 'health', 'admin', 'interface'],
    fault(values, from, name) {
      const servers = ['health', 'admin'].flatMap((key) => {
        const address = values[key] as HostPort | null
        return address === null ? [] : [{ key, address }]
      })
      const isReceiving = values.interface === null
      const listens = isReceiving ? (values.listen as HostPort[]).map((address) => ({ key: 'listen', address })) : []
      const all = [...servers, ...listens]
      for (const [i, one] of servers.entries())
        for (const other of all.slice(i + 1))
          if (isSamePort(one.address, other.address) && [one, other].some(({ key }) => from(key) !== null))
            return `${name(one.key)} ${formatHostPort(one.address)} and ${name(other.key)} ${formatHostPort(other.address)} are the same TCP port`
      return null
    },
  },
  {
    keys: ['outOfOrderBytes', 'outOfOrderTotalBytes'],
    fault(values, _, name) {
      const [each, total] = [values.outOfOrderBytes as number, values.outOfOrderTotalBytes as number]
      if (each <= total) return null
      return `${name('outOfOrderBytes')} (${formatBytes(each)}, for one direction) must not be above --out-of-order-total-bytes (${formatBytes(total)}, for all)`
    },
  },
  {
    keys: ['admin'],
    // The demo has no token: loopback only.
    fault(values, _, name) {
      const admin = values.admin as { host: string; port: number } | null
      if (admin === null || isLoopback(admin.host) || typeof values.adminTokenFile === 'string') return null
      const ways =
        'adminTokenFile' in values
          ? ': give --admin-token-file FILE, listen on loopback (127.0.0.1, [::1]), or use a tunnel (ssh -L, kubectl port-forward); load balancers ask --health'
          : ', such as 127.0.0.1:9464'
      return `${name('admin')} ${formatHostPort(admin)} is open to other machines${'adminTokenFile' in values ? ' without a token' : ', and must be on loopback'}${ways}`
    },
  },
  {
    keys: ['tlsCert', 'tlsKey'],
    fault(values, _, name) {
      if ((values.tlsCert === null) === (values.tlsKey === null)) return null
      const [given, missing] = values.tlsCert === null ? ['tlsKey', '--tls-cert'] : ['tlsCert', '--tls-key']
      return `${name(given!)} needs ${missing} beside it: a client certificate and its private key`
    },
  },
  {
    keys: ['to', 'tlsCert', 'tlsServerName'],
    // In a file they may be there for another command, or another --to on the command line.
    fault(values, from, name) {
      const to = values.to as URL | null
      const flag = ['tlsCert', 'tlsServerName'].find((key) => from(key) === 'flag')
      return flag === undefined || to === null || to.protocol === 'https:'
        ? null
        : `${name(flag)} is about TLS, but --to ${to.origin} is not https`
    },
  },
  {
    keys: ['redact', 'redactKeyFile'],
    fault: (values, from, name) =>
      from('redactKeyFile') === 'flag' && values.redact === null
        ? `${name('redactKeyFile')} needs --redact: the headers to replace`
        : null,
  },
]
