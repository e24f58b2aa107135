/** nginx that is stopped and started again under load, gently and hard in turns, and whose log loses nothing by it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createReadStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { owned } from '../support/children.ts'
import { freePort } from '../support/free-port.ts'
import { stop } from '../support/processes.ts'

const START_MS = 5_000
/** A graceful end waits for the requests in hand. */
const END_MS = 10_000
/** Away for so long before it comes back: connections are refused meanwhile. */
const AWAY_MS = 300

export type Way = 'graceful' | 'hard'

export interface LogLine {
  readonly status: string
  /** Value of X-Forwarded-For and of X-Request-Id. */
  readonly address: string
  readonly id: string
}

export class RestartedNginx {
  readonly url: string
  readonly restarts: Record<Way, number> = { graceful: 0, hard: 0 }
  private readonly program: string
  private readonly directory: string
  private readonly port: number
  private child: ChildProcess | null = null

  private constructor(program: string, directory: string, port: number) {
    this.program = program
    this.directory = directory
    this.port = port
    this.url = `http://127.0.0.1:${port}`
  }

  /** @throws Error with what nginx printed when it does not answer */
  static async open(program: string, parent: string): Promise<RestartedNginx> {
    const directory = join(parent, 'nginx')
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory)
    const nginx = new RestartedNginx(program, directory, await freePort())
    writeFileSync(join(directory, 'nginx.conf'), configuration(directory, nginx.port))
    await nginx.start()
    return nginx
  }

  async restart(way: Way): Promise<void> {
    await this.end(way)
    this.restarts[way]++
    await sleep(AWAY_MS)
    await this.start()
  }

  async close(): Promise<void> {
    await this.end('graceful')
  }

  /** In the order in which they were written. */
  async *log(): AsyncGenerator<LogLine> {
    const lines = createInterface({ input: createReadStream(this.logPath, 'latin1') })
    for await (const line of lines) {
      const [status = '', address = '', id = ''] = line.split(' ')
      yield { status, address, id }
    }
  }

  private get logPath(): string {
    return join(this.directory, 'access.log')
  }

  private async start(): Promise<void> {
    const args = ['-p', this.directory, '-c', join(this.directory, 'nginx.conf')]
    const child = owned(spawn(this.program, args, { stdio: ['ignore', 'ignore', 'pipe'] }))
    this.child = child
    let said = ''
    child.stderr.on('data', (chunk) => {
      said += chunk
    })
    const untilMs = performance.now() + START_MS
    while (!(await listens(this.port))) {
      if (child.exitCode !== null || performance.now() > untilMs) {
        await stop(child)
        throw new Error(`nginx does not listen on ${this.url}: ${said}`)
      }
      await sleep(10)
    }
  }

  private async end(way: Way): Promise<void> {
    const { child } = this
    this.child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    if (way === 'graceful') {
      child.kill('SIGQUIT')
      const late = setTimeout(() => child.kill('SIGTERM'), END_MS)
      await ended
      clearTimeout(late)
      return
    }
    const workers = childrenOf(child.pid!)
    // The master first: it would start another worker.
    child.kill('SIGKILL')
    for (const pid of workers) process.kill(pid, 'SIGKILL')
    await ended
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((word) => word !== '')
    .map(Number)
}

/** No request: it would be in the log. */
function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** One worker, so that at most one request stands between its answer and its line when it is killed. Lines are not buffered. */
function configuration(directory: string, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${directory}/${kind};`,
  )
  return `daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log crit;
events { worker_connections 1024; }
http {
  log_format short escape=none "$status $http_x_forwarded_for $http_x_request_id";
  access_log ${directory}/access.log short;
  server_tokens off;
  keepalive_requests 1000000000;
  keepalive_timeout 60s;
${temporary.join('\n')}
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / { return 200 "ok\\n"; }
  }
}
`
}
