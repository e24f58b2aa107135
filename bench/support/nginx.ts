/** A real web server on loopback, with a configuration of its own in a temporary folder. */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stop } from './processes.ts'

export interface Nginx {
  readonly url: string
  /** Requests answered since its start, this question included; null where nginx was built without stub_status. */
  requests(): Promise<number | null>
  close(): Promise<void>
}

const START_MS = 5_000

/** @throws Error with what nginx printed when it does not answer */
export async function openNginx(program: string, parent: string): Promise<Nginx> {
  const directory = join(parent, 'nginx')
  mkdirSync(directory)
  const port = await freePort()
  const path = join(directory, 'nginx.conf')
  writeFileSync(path, configuration(directory, port))
  const child = spawn(program, ['-p', directory, '-c', path], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  const url = `http://127.0.0.1:${port}`
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
    close: async () => {
      await stop(child)
    },
  }
}

/** Every request is answered alike and at once: what is measured is the client. */
function configuration(directory: string, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${directory}/${kind};`,
  )
  return `daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 60s;
  client_body_buffer_size 1m;
${temporary.join('\n')}
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / { return 200 "ok\\n"; }
    location = /stub-status { stub_status; }
  }
}
`
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url, { headers: { connection: 'close' } })).text()
    return true
  } catch {
    return false
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
