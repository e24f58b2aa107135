/** The open connections of a shard that sinks know. */
import type { ConnectionDirectory, ConnectionFacts, ConnectionHandle } from './connection.ts'
import { slotOf } from './connection.ts'

export class OpenConnections implements ConnectionDirectory {
  /** By slot. Rows of the flow table are used from the first on, and again: the list has few empty places. */
  private readonly bySlot: (ConnectionFacts | null)[] = []
  private count = 0

  /** Connections that are open. */
  get size(): number {
    return this.count
  }

  open(facts: ConnectionFacts): void {
    const slot = slotOf(facts.handle)
    while (this.bySlot.length <= slot) this.bySlot.push(null)
    if (this.bySlot[slot] === null) this.count++
    this.bySlot[slot] = facts
  }

  facts(handle: ConnectionHandle): ConnectionFacts {
    const facts = this.bySlot[slotOf(handle)]
    if (facts?.handle !== handle) throw new Error(`connection ${handle} is not open`)
    return facts
  }

  /** Nothing happens where another connection has taken the slot. */
  close(handle: ConnectionHandle): void {
    const slot = slotOf(handle)
    if (this.bySlot[slot]?.handle !== handle) return
    this.bySlot[slot] = null
    this.count--
  }
}
