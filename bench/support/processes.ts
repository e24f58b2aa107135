/** Other programs that benches start: found, run to their end, and charged with the processor time they took. */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { watchPeakRss } from './peak-rss.ts'

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** User and system time of the program and all it waited for, start and end included. */
  readonly cpuSeconds: number
  readonly wallSeconds: number
  /** Most memory resident at once, of the program alone; 0 where the system does not tell, or it ended before it was asked. */
  readonly peakRssBytes: number
}

export interface RunSettings {
  /** Beside the bench's own environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** Full path of a program, null where it is not on PATH. */
export function findOnPath(name: string): string | null {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not here.
    }
  }
  return null
}

/** Node tells the processor time of itself only; the shell that waits for a program tells that of its children. */
const TIMED = '"$@"; code=$?; times >&3; exit $code'

/** Runs a program to its end. */
export function runTimed(program: string, args: readonly string[], settings: RunSettings = {}): Promise<Finished> {
  const started = performance.now()
  const child = spawn('/bin/sh', ['-c', TIMED, 'sh', program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...benchEnvironment(), ...settings.env },
    ...(settings.cwd === undefined ? {} : { cwd: settings.cwd }),
  })
  const peak = watchPeakRss(child.pid)
  const texts = [1, 2, 3].map((fd) => collect(child, fd))
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      peak.end()
      reject(error)
    })
    child.once('close', (code) => {
      const peakRssBytes = peak.end()
      const [stdout = '', stderr = '', times = ''] = texts.map((text) => text())
      resolve({
        code,
        stdout,
        stderr,
        cpuSeconds: childrenSeconds(times),
        wallSeconds: (performance.now() - started) / 1000,
        peakRssBytes,
      })
    })
  })
}

/**
 * A script of ours in a process of its own, and the JSON that it prints.
 * @param what names it when it fails @param order its one argument, as JSON @throws Error when it does not end with 0
 */
export function runForJson<T>(
  what: string,
  script: string,
  order: unknown,
  nodeOptions: readonly string[],
): Promise<T> {
  const child = spawn(process.execPath, [...nodeOptions, script, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const stdout = collect(child, 1)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(stdout()) as T)
      else reject(new Error(`${what} ended with ${code}`))
    })
  })
}

/** The program's settings come from the bench alone. */
export function benchEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MIRRORSHARD_')))
}

/** `run` may drain for 15 s by default. */
const STOP_LIMIT_MS = 20_000

/** Ends a program that runs until it is told, and waits for it. */
export function stop(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode)
  return new Promise((resolve) => {
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS)
    child.once('exit', (code) => {
      clearTimeout(late)
      resolve(code)
    })
    child.kill('SIGTERM')
  })
}

/** Second line of the shell's `times` (POSIX): user and system time of its children, as `0m1.25s 0m0.30s`. */
export function childrenSeconds(times: string): number {
  const parts = [...(times.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)]
  return parts.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0)
}

function collect(child: ChildProcess, fd: number): () => string {
  const chunks: Buffer[] = []
  child.stdio[fd]!.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString()
}
