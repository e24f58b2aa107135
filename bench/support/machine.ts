/** What the figures were measured with: without it they mean nothing. */
import { cpus, loadavg, release, totalmem, type } from 'node:os'

export interface Machine {
  readonly date: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly system: string
  readonly node: string
  /** Of the last minute, before the bench began: what else used the cores. */
  readonly load: number
}

export function describeMachine(): Machine {
  const list = cpus()
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: (list[0]?.model ?? 'unknown processor').trim(),
    cores: list.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()} ${process.arch}`,
    node: process.versions.node,
    load: Math.round(loadavg()[0]! * 100) / 100,
  }
}

export function machineInWords(m: Machine): string[] {
  return [
    `mirrorshard bench, ${m.date}, Node ${m.node}`,
    `${m.cpu}, ${m.cores} cores, ${m.memoryGb} GB, ${m.system}; load before ${m.load.toFixed(2)}`,
  ]
}
