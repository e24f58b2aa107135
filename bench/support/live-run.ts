/** `run --to null` on loopback with options for Node itself, for benches that look into the process while it works. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Summary } from '../../src/report/summary.ts'
import { MAIN } from './mirrorshard.ts'
import { benchEnvironment, stop } from './processes.ts'

const START_LIMIT_MS = 15_000

export interface LiveRun {
  readonly child: ChildProcess
  readonly port: number
  summary(): Promise<Summary>
  /** Orderly: with what the program writes at its end. */
  end(): Promise<void>
}

/** @param nodeOptions for Node itself, in front of the program */
export async function openLiveRun(workers: number, nodeOptions: readonly string[]): Promise<LiveRun> {
  const args = ['run', '--listen', 'vxlan:127.0.0.1:0', '--admin', '127.0.0.1:0', '--to', 'null']
  const child = spawn(process.execPath, [...nodeOptions, MAIN, ...args, '--workers', String(workers)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: benchEnvironment(),
  })
  const said: string[] = []
  const lines = createInterface(child.stderr!)
  return await new Promise((resolve, reject) => {
    const fail = (what: string) => {
      clearTimeout(late)
      child.kill('SIGKILL')
      reject(new Error(`mirrorshard ${args.join(' ')} ${what}: ${said.join('\n')}`))
    }
    const late = setTimeout(() => fail('does not receive'), START_LIMIT_MS)
    child.once('exit', (code) => fail(`ended with ${code}`))
    lines.on('line', (line) => {
      said.push(line)
      if (!line.includes('"msg":"receiving"')) return
      clearTimeout(late)
      child.removeAllListeners('exit')
      const entry = JSON.parse(line) as { listen: readonly string[]; admin: string }
      resolve({
        child,
        port: Number(entry.listen[0]!.split(':').at(-1)),
        summary: async () => (await (await fetch(`http://${entry.admin}/summary`)).json()) as Summary,
        end: async () => {
          await stop(child)
        },
      })
    })
  })
}
