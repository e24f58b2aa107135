/** What the system knows of a process: memory, descriptors, sockets. Linux only. */
import { readdirSync, readFileSync } from 'node:fs'

export interface ProcessState {
  readonly rssMb: number
  readonly descriptors: number
  readonly threads: number
}

/** Of a process that runs. */
export function stateOf(pid: number): ProcessState {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return {
    rssMb: Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
  }
}

export interface ClientSockets {
  readonly established: number
  /** Half closed, connecting, closing: whatever is neither of the other two. */
  readonly between: number
  readonly timeWait: number
}

const ESTABLISHED = '01'
const TIME_WAIT = '06'

/** TCP sockets of loopback whose other end is this port: those of the program under test, where nobody else connects there. */
export function socketsTo(port: number): ClientSockets {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const count = { established: 0, between: 0, timeWait: 0 }
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, , remote = '', state = ''] = line.trim().split(/\s+/)
    if (!remote.endsWith(suffix)) continue
    if (state === ESTABLISHED) count.established++
    else if (state === TIME_WAIT) count.timeWait++
    else count.between++
  }
  return count
}
