/** How many connections spoke what, by server port. */
import type { ProtocolName } from './protocol.ts'

/** Connections by protocol and server port. Bounded: ports beyond the first MAX_PORTS of a protocol count as port 0, "others". */
export class ProtocolCounts {
  private readonly counts = new Map<string, number>()
  private readonly ports = new Map<ProtocolName, Set<number>>()

  add(protocol: ProtocolName, serverPort: number, connections = 1): void {
    const known = this.ports.get(protocol) ?? new Set()
    this.ports.set(protocol, known)
    const port = known.has(serverPort) || known.size < MAX_PORTS ? serverPort : 0
    known.add(port)
    const key = `${protocol}:${port}`
    this.counts.set(key, (this.counts.get(key) ?? 0) + connections)
  }

  /** Adds what another one counted, as its `entries` tell; the bound on ports holds for the sum. */
  addEntries(entries: readonly (readonly [string, number])[]): void {
    for (const [key, connections] of entries) {
      const [protocol, port] = key.split(':')
      this.add(protocol as ProtocolName, Number(port), connections)
    }
  }

  /** Entries `protocol:port` → connections, for sending to another thread. */
  entries(): [string, number][] {
    return [...this.counts]
  }
}

const MAX_PORTS = 64
