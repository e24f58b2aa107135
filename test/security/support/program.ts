/** The built program as a process of its own: what it prints, serves and leaves behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const MAIN = fileURLToPath(new URL('../../../dist/src/main.js', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** Most memory resident at once as the kernel tells it; 0 where it does not. */
  readonly peakRssBytes: number
}

/** A folder that goes with the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'mirrorshard-security-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function start(args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function ended(child: ChildProcess): Promise<Ended> {
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name]!.setEncoding('utf8').on('data', (chunk) => {
      text[name] += chunk
    })
  let peakRssBytes = 0
  const watch = setInterval(() => {
    peakRssBytes = Math.max(peakRssBytes, peakOf(child.pid))
  }, 20)
  const [code] = await once(child, 'close')
  clearInterval(watch)
  return { code, ...text, peakRssBytes }
}

function peakOf(pid: number | undefined): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** Runs the program to its end. */
export function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return ended(start(args, env))
}

export interface Running {
  readonly port: number
  /** http://HOST:PORT */
  readonly admin: string
  readonly done: Promise<Ended>
  stop(): Promise<Ended>
}

/** `run` on free ports of loopback, from its line that it receives. */
export async function service(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Running> {
  const words = ['run', '--listen', 'vxlan:127.0.0.1:0', '--admin', '127.0.0.1:0', '--workers', '0', ...args]
  const child = start(words, env)
  const done = ended(child)
  const entry = await new Promise<{ listen: string[]; admin: string }>((resolve, reject) => {
    void done.then(({ stderr }) => reject(new Error(`ended before it received: ${stderr}`)))
    createInterface(child.stderr!).on('line', (line) => {
      if (line.includes('"msg":"receiving"')) resolve(JSON.parse(line))
    })
  })
  return {
    port: Number(entry.listen[0]!.split(':').at(-1)),
    admin: `http://${entry.admin}`,
    done,
    stop: () => {
      child.kill('SIGTERM')
      return done
    },
  }
}
