/** What the figures were measured with: without it they mean nothing. */
import { spawnSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { fileURLToPath } from 'node:url'

export interface Machine {
  readonly date: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly system: string
  readonly node: string
  /** Short hash of the commit measured; null outside a git checkout. */
  readonly commit: string | null
  /** Files differ from that commit. */
  readonly isDirty: boolean
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
    commit: git('rev-parse', '--short=12', 'HEAD'),
    isDirty: (git('status', '--porcelain') ?? '') !== '',
    load: Math.round(loadavg()[0]! * 100) / 100,
  }
}

export function machineInWords(m: Machine): string[] {
  return [
    `mirrorshard bench, ${m.date}, Node ${m.node}, ${commitInWords(m)}`,
    `${m.cpu}, ${m.cores} cores, ${m.memoryGb} GB, ${m.system}; load before ${m.load.toFixed(2)}`,
  ]
}

function commitInWords({ commit, isDirty }: Machine): string {
  if (commit === null) return 'no commit known'
  return `commit ${commit}${isDirty ? ' and changes' : ''}`
}

/** The checkout that this build was made from. */
export const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url))

function git(...args: string[]): string | null {
  const { status, stdout } = spawnSync('git', args, { cwd: CHECKOUT, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : null
}
