/** nginx: the real program, on loopback, in a temporary folder; what it understood is what it logs. */
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../../bench/support/free-port.ts'
import { type Reader, type Reading, type SeenRequest, sendAll } from './reader.ts'

const START_MS = 10_000
const LOGGED_MS = 10_000
/** Header fields that it is asked about one by one; it does not tell others. */
export const LOGGED_FIELDS = [
  'host',
  'cookie',
  'authorization',
  'content-type',
  'content-length',
  'user-agent',
  'x-mirrorshard',
  'x-case',
] as const

/** One line of its log. */
interface Logged {
  /** Address of the client. */
  readonly from: string
  readonly connection: string
  readonly status: string
  readonly request: SeenRequest
}

/** Version of the nginx on PATH; null where there is none. */
export function nginxVersion(): string | null {
  try {
    // It prints to standard error.
    const text = execFileSync('sh', ['-c', 'nginx -v 2>&1'], { encoding: 'utf8' })
    return /nginx\/(\S+)/.exec(text)?.[1] ?? null
  } catch {
    return null
  }
}

/** One nginx with several ports, each with a log of its own. */
export class NginxProgram {
  readonly ports: readonly number[]
  private readonly folder: string
  private readonly end: () => Promise<void>
  private readonly logs: readonly LogFile[]
  private readonly errors: LogFile
  private markers = 0

  private constructor(folder: string, ports: readonly number[], end: () => Promise<void>) {
    this.folder = folder
    this.ports = ports
    this.end = end
    this.logs = ports.map((_, i) => new LogFile(join(folder, `access-${i}.log`)))
    this.errors = new LogFile(join(folder, 'error.log'))
  }

  static async start(count: number): Promise<NginxProgram> {
    const folder = mkdtempSync(join(tmpdir(), 'mirrorshard-nginx-'))
    const ports = await Promise.all(Array.from({ length: count }, freePort))
    const path = join(folder, 'nginx.conf')
    writeFileSync(path, configuration(folder, ports))
    const child = spawn('nginx', ['-p', folder, '-c', path], { stdio: ['ignore', 'ignore', 'pipe'] })
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    let said = ''
    child.stderr.on('data', (chunk) => {
      said += chunk
    })
    const stop = async () => {
      child.kill('SIGTERM')
      await exited
      rmSync(folder, { recursive: true, force: true })
    }
    const kill = () => child.kill('SIGKILL')
    process.once('exit', kill)
    void exited.then(() => process.removeListener('exit', kill))
    const from = performance.now()
    for (const port of ports) {
      while (!(await answers(port))) {
        if (child.exitCode === null && performance.now() - from < START_MS) await sleep(20)
        else {
          await stop()
          throw new Error(`nginx does not answer: ${said}`)
        }
      }
    }
    const nginx = new NginxProgram(folder, ports, stop)
    for (const server of ports.keys()) await nginx.logged(server)
    return nginx
  }

  /**
   * What was logged since the last call, in the order in which requests ended: of all requests that were answered and connections that were
   * ended before this call. A line is written a moment after the answer, but by the one thread there is, which takes events in
   * their order: when a request sent now is logged, so is everything before it.
   */
  async logged(server: number): Promise<Logged[]> {
    const marker = `/marker-${++this.markers}`
    await (await fetch(`http://127.0.0.1:${this.ports[server]}${marker}`, { headers: { connection: 'close' } })).text()
    const list: Logged[] = []
    for (const untilMs = performance.now() + LOGGED_MS; performance.now() < untilMs; await sleep(5)) {
      list.push(...this.logs[server]!.fresh().map(parseLine))
      const at = list.findIndex(({ request }) => request.target === marker)
      if (at >= 0) return list.toSpliced(at, 1)
    }
    throw new Error(`nginx did not log ${marker} within ${LOGGED_MS / 1000} seconds`)
  }

  /** What it found wrong since the last call, by its number of the connection. */
  complaints(): Map<string, string> {
    const found = new Map<string, string>()
    for (const line of this.errors.fresh()) {
      const [, connection, text] = /\*(\d+) (client .*)/.exec(line) ?? []
      if (connection === undefined || found.has(connection) || /keepalive connection/.test(text!)) continue
      found.set(connection, text!.replace(/: ".*| while .*|, client: .*/, ''))
    }
    return found
  }

  async close(): Promise<void> {
    await this.end()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export class NginxReader implements Reader {
  readonly name = 'nginx'
  readonly version: string
  private readonly nginx: NginxProgram
  private readonly server: number
  private lastAddress = 0

  /** @param server which of the program's ports is this reader's alone */
  constructor(nginx: NginxProgram, server: number, version: string) {
    this.nginx = nginx
    this.server = server
    this.version = version
  }

  async read(streams: readonly Buffer[]): Promise<Reading[]> {
    const readings = streams.map(() => ({ requests: [] as SeenRequest[], refusal: null as string | null }))
    // An address for each connection: it names it in the log, where a port would come again. All of 127.0.0.0/8 is loopback.
    const first = this.lastAddress + 1
    this.lastAddress += streams.length
    const addressOf = (index: number) => loopback(first + index)
    const byAddress = new Map(streams.map((_, i) => [addressOf(i), i]))
    await sendAll(streams, this.nginx.ports[this.server]!, addressOf, () => {})
    const logged = await this.nginx.logged(this.server)
    const complaints = this.nginx.complaints()
    for (const { from, connection, status, request } of logged) {
      const reading = readings[byAddress.get(from)!]!
      if (status === '200') reading.requests.push(request)
      else if (status !== '408' && status !== '499') {
        const why = complaints.get(connection)
        // The end inside a message is no refusal.
        if (why === undefined || !/prematurely closed/.test(why)) reading.refusal ??= `${status}${why ? ` ${why}` : ''}`
      }
    }
    return readings
  }

  async close(): Promise<void> {}
}

/** 127.1.0.1 and further. */
function loopback(n: number): string {
  return `127.${1 + ((n >> 14) % 250)}.${(n >> 7) & 127}.${1 + (n & 127)}`
}

class LogFile {
  private readonly path: string
  private at = 0
  private rest = ''

  constructor(path: string) {
    this.path = path
  }

  /** Whole lines that were not there at the last call, one character per byte. */
  fresh(): string[] {
    const file = openSync(this.path, 'r')
    const chunk = Buffer.allocUnsafe(1 << 20)
    for (let n = readSync(file, chunk, 0, chunk.length, this.at); n > 0; ) {
      this.rest += chunk.toString('latin1', 0, n)
      this.at += n
      n = readSync(file, chunk, 0, chunk.length, this.at)
    }
    closeSync(file)
    const lines = this.rest.split('\n')
    this.rest = lines.pop()!
    return lines
  }
}

function parseLine(line: string): Logged {
  const values = JSON.parse(line) as Record<string, string>
  const [method = '', ...rest] = values.request!.split(' ')
  const told = new Map<string, string>()
  // It takes blanks away around a value, but no tabs: they are no part of it (RFC 9112 section 5).
  for (const name of LOGGED_FIELDS) told.set(name, values[variableOf(name)]!.replace(/^[ \t]+|[ \t]+$/g, ''))
  return {
    from: values.remote_addr!,
    connection: values.connection!,
    status: values.status!,
    request: {
      method,
      // HTTP/0.9 has no version.
      target: (rest.length > 1 ? rest.slice(0, -1) : rest).join(' '),
      headers: null,
      values: told,
      body: Buffer.from(values.request_body!, 'latin1'),
    },
  }
}

const variableOf = (name: string) => `http_${name.replaceAll('-', '_')}`

const LOGGED = ['remote_addr', 'connection', 'status', 'request', ...LOGGED_FIELDS.map(variableOf), 'request_body']

/**
 * `return` alone would answer before the body is read: nginx's mirror reads it first. Limits are wide, so that what is refused is
 * refused for what it is.
 */
function configuration(folder: string, ports: readonly number[]): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${folder}/${kind};`,
  )
  const fields = LOGGED.map((name) => `"${name}":"$${name}"`).join(',')
  const servers = ports.map(
    (port, i) => `  server {
    listen 127.0.0.1:${port} backlog=1024;
    access_log ${folder}/access-${i}.log whole;
    location / { mirror /read; error_page 403 404 405 =200 /answer; }
    location = /read { internal; return 204; }
    location = /answer { internal; return 200 "ok\\n"; }
  }`,
  )
  return `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log info;
events { worker_connections 1024; }
http {
  log_format whole escape=json '{${fields}}';
  root ${folder}/nothing;
  log_not_found off;
  mirror_request_body on;
  keepalive_requests 1000000000;
  keepalive_timeout 60s;
  client_max_body_size 0;
  client_body_buffer_size 16m;
  client_body_in_single_buffer on;
  client_header_buffer_size 64k;
  large_client_header_buffers 8 256k;
  lingering_timeout 1s;
${temporary.join('\n')}
${servers.join('\n')}
}
`
}

async function answers(port: number): Promise<boolean> {
  try {
    await (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text()
    return true
  } catch {
    return false
  }
}
