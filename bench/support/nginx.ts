/** A real web server on loopback, with a configuration of its own in a temporary folder. */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { owned } from './children.ts'
import { freePort } from './free-port.ts'
import { stop } from './processes.ts'

export interface Nginx {
  readonly url: string
  /** Requests answered since its start, this question included; null where nginx was built without stub_status. */
  requests(): Promise<number | null>
  /** What it found wrong with requests since it was last asked, from its log: malformed ones, cut ones, timeouts. */
  complaints(): string[]
  close(): Promise<void>
}

const START_MS = 5_000

/**
 * @param accessLog a file for one line per request in the format LOGGED; null: none is written, which is what is measured
 * @throws Error with what nginx printed when it does not answer
 */
export async function openNginx(program: string, parent: string, accessLog: string | null = null): Promise<Nginx> {
  const directory = join(parent, 'nginx')
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory)
  const port = await freePort()
  const path = join(directory, 'nginx.conf')
  writeFileSync(path, configuration(directory, port, accessLog))
  const child = owned(spawn(program, ['-p', directory, '-c', path], { stdio: ['ignore', 'ignore', 'pipe'] }))
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  const url = `http://127.0.0.1:${port}`
  let told = 0
  const startedMs = performance.now()
  while (!(await answers(url))) {
    if (child.exitCode !== null || performance.now() - startedMs > START_MS) {
      await stop(child)
      throw new Error(`nginx does not answer on ${url}: ${said}`)
    }
    await sleep(20)
  }
  return {
    url,
    requests: async () => {
      const response = await fetch(`${url}/stub-status`, { headers: { connection: 'close' } })
      const numbers = /\n (\d+) (\d+) (\d+) \n/.exec(await response.text())
      return numbers === null ? null : Number(numbers[3])
    },
    complaints: () => {
      const log = readFileSync(join(directory, 'error.log'), 'utf8')
      const fresh = log.slice(told).split('\n')
      told = log.length
      return fresh.filter((line) => line !== '' && !HARMLESS.test(line))
    },
    close: async () => {
      await stop(child)
    },
  }
}

/** At its level info nginx also tells of connections that clients closed between requests. */
const HARMLESS = /\[notice\]|closed keepalive connection|while keepalive|while waiting for request/

/** Fields of a logged request, between tabs; the first is its request line. Values are as they came (escape=none): the bench's traffic has no tabs in them. */
export const LOGGED = [
  'request',
  'http_user_agent',
  'http_accept',
  'http_x_request_id',
  'http_cookie',
  'http_content_type',
  'content_length',
  'request_body',
] as const

/** Every request is answered alike and at once: what is measured is the client. */
function configuration(directory: string, port: number, accessLog: string | null): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${directory}/${kind};`,
  )
  return `daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log info;
events { worker_connections 1024; }
http {
${accessLog === null ? '  access_log off;' : logging(accessLog)}
  server_tokens off;
  keepalive_requests 1000000000;
  keepalive_timeout 60s;
  client_body_buffer_size 1m;
${temporary.join('\n')}
  server {
    listen 127.0.0.1:${port} backlog=1024;
${accessLog === null ? '    location / { return 200 "ok\\n"; }' : READING_BODIES}
    location = /stub-status { access_log off; stub_status; }
  }
}
`
}

function logging(path: string): string {
  const fields = LOGGED.map((name) => `$${name}`).join('\t')
  return `  log_format whole escape=none "${fields}";
  access_log ${path} whole buffer=1m;`
}

/** `return` alone would answer before the body is read, and nothing could be said about it: nginx's mirror reads it first. */
const READING_BODIES = `    location / { mirror /read; mirror_request_body on; client_body_in_single_buffer on; log_not_found off; error_page 404 405 =200 /answer; }
    location = /read { internal; return 204; }
    location = /answer { internal; return 200 "ok\\n"; }`

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url, { headers: { connection: 'close' } })).text()
    return true
  } catch {
    return false
  }
}
