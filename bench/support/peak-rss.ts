/**
 * Most memory of a program that a shell waits for. The kernel keeps the high-water mark (VmHWM, proc(5)), so a look now and
 * then misses only what the program still grew between the last look and its end.
 */
import { readFileSync } from 'node:fs'

const LOOK_MS = 20

export interface PeakWatch {
  /** @returns bytes; 0 where there was nothing to see */
  end(): number
}

/** @param shell process whose only child is the program */
export function watchPeakRss(shell: number | undefined): PeakWatch {
  let peak = 0
  let program = 0
  const look = () => {
    if (program === 0) program = childOf(shell ?? 0)
    if (program > 0) peak = Math.max(peak, peakRssOf(program))
  }
  const timer = setInterval(look, LOOK_MS)
  return {
    end: () => {
      clearInterval(timer)
      return peak
    },
  }
}

function childOf(pid: number): number {
  return Number(read(`/proc/${pid}/task/${pid}/children`).trim().split(' ')[0] ?? 0)
}

/** Most memory that a running process had resident at once, so far. @returns bytes; 0 where the system does not tell */
export function peakRssOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
