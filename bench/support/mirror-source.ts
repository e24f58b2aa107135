/** The sending process of the live benches, from the outside: started once, given orders one after the other. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { LiveOrder, LiveReady, LiveSent } from '../pipeline/live-source.ts'
import { owned } from './children.ts'
import { connectionsFor } from './mirror-cycle.ts'
import { stop } from './processes.ts'

const PROGRAM = fileURLToPath(new URL('../pipeline/live-source.js', import.meta.url))

export class MirrorSource {
  readonly ready: LiveReady
  /** In its cycle. */
  readonly connections: number
  private readonly child: ChildProcess
  private readonly lines: AsyncIterator<string>

  private constructor(ready: LiveReady, connections: number, child: ChildProcess, lines: AsyncIterator<string>) {
    this.ready = ready
    this.connections = connections
    this.child = child
    this.lines = lines
  }

  /** @param packetsPerSecond the cycle is made so long that a pass takes about a second at this rate, where memory allows; null: flat out */
  static async open(packetsPerSecond: number | null): Promise<MirrorSource> {
    const connections = connectionsFor(packetsPerSecond)
    const child = owned(spawn(process.execPath, [PROGRAM, String(connections)], { stdio: ['pipe', 'pipe', 'inherit'] }))
    const lines = (createInterface(child.stdout) as Interface)[Symbol.asyncIterator]()
    return new MirrorSource((await nextOf(lines)) as LiveReady, connections, child, lines)
  }

  /** Gives the order. @returns when the first datagrams leave, with what will have been sent in the end */
  async send(order: LiveOrder): Promise<{ readonly sent: Promise<LiveSent> }> {
    this.child.stdin!.write(`${JSON.stringify(order)}\n`)
    const first = await this.lines.next()
    if (first.value !== 'sending') throw new Error(`the sender of live traffic said ${JSON.stringify(first.value)}`)
    const sent = nextOf(this.lines) as Promise<LiveSent>
    // Awaited later: what fails before must not end the bench from outside.
    sent.catch(() => {})
    return { sent }
  }

  async close(): Promise<void> {
    await stop(this.child)
  }
}

async function nextOf(lines: AsyncIterator<string>): Promise<unknown> {
  const { value, done } = await lines.next()
  if (done) throw new Error('the sender of live traffic ended; what it said stands above')
  return JSON.parse(value as string)
}
