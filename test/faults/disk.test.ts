/** Disks that are full: a tmpfs of a few hundred kilobytes where it may be mounted (root), else a limit on file sizes. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../bench/support/free-port.ts'
import { parseMetrics } from '../../bench/support/prometheus.ts'
import { PcapWriter } from '../../src/sources/files/pcap-writer.ts'
import { until } from '../support/until.ts'
import { tellFigures } from './support/figures.ts'
import { expectIdentity } from './support/identity.ts'
import { MAIN } from './support/main.ts'
import { connectionOf, Load, Mirror } from './support/mirror.ts'
import { Origin } from './support/origin.ts'

const DISK_KIB = 256
const LINK_ETHERNET = 1
const PCAP_HEADER = 24
const RECORD_HEADER = 16

const base = mkdtempSync(join(tmpdir(), 'mirrorshard-disk-'))
const disk = join(base, 'full')
let isMounted = false
let origin: Origin
const children: ChildProcess[] = []

function tryMount(): boolean {
  mkdirSync(disk)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_KIB}k`, 'tmpfs', disk], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

beforeAll(async () => {
  isMounted = tryMount()
  if (!isMounted)
    console.log('      tmpfs cannot be mounted here (needs root): files are limited in size instead (EFBIG for ENOSPC)')
  origin = await Origin.listen()
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
afterAll(async () => {
  await origin.close()
  if (isMounted) execFileSync('umount', [disk])
  rmSync(base, { recursive: true, force: true })
})

/** A path on the full disk, with `free` KiB left on it. */
function onFullDisk(name: string, freeKib = 0): string {
  rmSync(join(disk, 'filler'), { force: true })
  if (isMounted) {
    const { bavail, bsize } = statfsSync(disk)
    writeFileSync(join(disk, 'filler'), Buffer.alloc(Math.max(0, bavail * bsize - freeKib * 1024)))
  }
  return join(disk, name)
}

interface Ended {
  readonly code: number | null
  readonly said: string
}

/** The program, under the same limit where the disk is none. @param stdoutFile gets what it prints */
function start(args: readonly string[], limitKib: number, stdoutFile: string | null = null): ChildProcess {
  const words = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(' ')
  const redirect = stdoutFile === null ? '' : ` > '${stdoutFile}'`
  // Blocks of bash's ulimit are KiB. Ignored, the signal becomes an error of write.
  const limit = isMounted ? '' : `trap '' XFSZ; ulimit -f ${Math.max(1, limitKib)}; `
  const child = spawn('bash', ['-c', `${limit}exec ${words}${redirect}`], { stdio: ['ignore', 'ignore', 'pipe'] })
  children.push(child)
  return child
}

async function ended(child: ChildProcess): Promise<Ended> {
  let said = ''
  child.stderr!.on('data', (chunk) => {
    said += chunk
  })
  const [code] = await once(child, 'close')
  return { code: code as number | null, said }
}

/** A capture of `connections` connections, on a disk with room. */
function captureFile(connections: number): string {
  const path = join(base, `${connections}.pcap`)
  const writer = PcapWriter.create(path, LINK_ETHERNET)
  let us = 1_700_000_000_000_000
  for (let n = 0; n < connections; n++)
    for (const datagram of connectionOf([{ method: 'GET', target: `/file/${connections}/${n}` }])) {
      const frame = datagram.subarray(8)
      us += 10
      writer.write(frame, 0, frame.length, frame.length, us)
    }
  writer.close()
  return path
}

/** Walks the records of a pcap file by hand. @returns how many whole ones, and bytes behind the last */
function recordsOf(path: string): { records: number; surplus: number } {
  const bytes = readFileSync(path)
  let at = PCAP_HEADER
  let records = 0
  while (at + RECORD_HEADER <= bytes.length && at + RECORD_HEADER + bytes.readUInt32LE(at + 8) <= bytes.length) {
    at += RECORD_HEADER + bytes.readUInt32LE(at + 8)
    records++
  }
  return { records, surplus: bytes.length - at }
}

const hasCap = await import('cap' as string).then(
  () => true,
  () => false,
)

describe('a full disk', () => {
  test('while recording with `capture --out`: it stops with an error and exit code 1, and the file is valid to its last record', async ({
    skip,
  }) => {
    if (!hasCap || process.getuid?.() !== 0) skip('needs package cap and root')
    // Room for one write of a megabyte and a part of the next.
    const roomy = join(base, 'roomy')
    const path = isMounted ? join(roomy, 'c.pcap') : join(base, 'c.pcap')
    if (isMounted) {
      mkdirSync(roomy)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1500k', 'tmpfs', roomy])
    }
    try {
      const port = await freePort()
      const child = start(
        ['capture', '--interface', 'lo', '--filter', `udp port ${port}`, '--out', path, '--limit', '1000000'],
        1500,
      )
      let said = ''
      child.stderr!.on('data', (chunk) => {
        said += chunk
      })
      await until('it captures', () => said.includes('capturing on'))
      const mirror = await Mirror.open(port)
      const datagram = Buffer.alloc(8000, 'd')
      const closed = once(child, 'close')
      let isOver = false
      closed.then(() => {
        isOver = true
      })
      const startedMs = performance.now()
      while (!isOver && performance.now() - startedMs < 20_000) await mirror.send(Array<Buffer>(20).fill(datagram), 10)
      const [code] = await closed
      const { records, surplus } = recordsOf(path)
      mirror.close()
      // Our reader reads it to its end, without a word about a cut.
      const reread = await ended(start(['inspect', path, '--workers', '0'], 1500, '/dev/null'))
      tellFigures({
        'exit code': code as number,
        said: said.trim().split('\n').at(-1)!,
        'file bytes': statSync(path).size,
        'whole records': records,
        'bytes behind the last': surplus,
        'datagrams sent': mirror.datagrams,
      })
      expect(code).toBe(1)
      expect(said).toMatch(/cannot write .*c\.pcap: .*(ENOSPC|EFBIG|no space|file too large)/i)
      expect(records).toBeGreaterThan(50)
      expect(surplus).toBe(0)
      expect(reread.code).toBe(0)
      expect(reread.said).not.toMatch(/cut|truncated/i)
    } finally {
      if (isMounted) execFileSync('umount', [roomy])
    }
  })

  test('when the summary is written: a clear error and exit code 1, and everything was replayed', async () => {
    const file = captureFile(50)
    const path = onFullDisk('summary.json')
    const { code, said } = await ended(
      start(['replay', file, '--to', origin.url, '--speed', 'max', '--workers', '1', '--summary', path], 1),
    )
    const arrived = [...origin.arrivedAt.keys()].filter((target) => target.startsWith('/file/50/')).length
    tellFigures({
      'exit code': code!,
      said:
        said
          .trim()
          .split('\n')
          .find((line) => line.includes('--summary')) ?? '',
      arrived,
    })
    expect(code).toBe(1)
    expect(said).toMatch(/--summary.*cannot write .*summary\.json/)
    expect(said).not.toMatch(/^\s+at /m)
    expect(arrived).toBe(50)
  })

  test('under what `inspect` prints: a clear error and exit code 1', async () => {
    const file = captureFile(2000)
    const path = onFullDisk('out.ndjson', 64)
    const { code, said } = await ended(start(['inspect', file, '--workers', '1'], 64, path))
    const size = statSync(path).size
    tellFigures({ 'exit code': code!, said: said.trim().split('\n').at(-1) ?? '', 'file bytes': size })
    expect(code).toBe(1)
    expect(said).toMatch(/(standard output|stdout).*(ENOSPC|EFBIG|no space|too large)/i)
    expect(said).not.toMatch(/^\s+at /m)
    // What was written is there.
    expect(size).toBeGreaterThan(1000)
  })

  test('under the log of `run`: replay goes on, and it ends with 0', async () => {
    const [port, admin] = [await freePort(), await freePort()]
    // Made first: where the disk is full not even the redirection works.
    const path = onFullDisk('run.log')
    const fd = isMounted ? openSync(path, 'a') : openSync('/dev/full', 'a')
    const child = spawn(
      process.execPath,
      [
        MAIN,
        'run',
        '--listen',
        `vxlan:127.0.0.1:${port}`,
        '--admin',
        `127.0.0.1:${admin}`,
        '--to',
        origin.url,
        '--workers',
        '1',
      ],
      { stdio: ['ignore', 'ignore', fd], env: { ...process.env, MIRRORSHARD_FAULTS: '1' } },
    )
    closeSync(fd)
    children.push(child)
    const healthy = () =>
      fetch(`http://127.0.0.1:${admin}/healthz`).then(
        (answer) => answer.ok,
        () => false,
      )
    await until('it receives', healthy)
    const mirror = await Mirror.open(port)
    const load = new Load(mirror, (n) => [{ method: 'GET', target: `/log/${n}` }])
    await load.runFor(500, 100)
    // Warnings and the end are words too: they cannot be written either.
    await fetch(`http://127.0.0.1:${admin}/debug/fault?shard=0&kind=throw`, { method: 'POST' })
    const metrics = async () => parseMetrics(await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text())
    await until('the shard died', async () => {
      const samples = await metrics()
      return samples.get('mirrorshard_thread_deaths_total{thread="shard",cause="throw"}') === 1
    })
    await until('the shard is back', async () => (await metrics()).get('mirrorshard_workers{state="running"}') === 1)
    expect(await healthy()).toBe(true)
    const fresh = load.one()
    await until('replay goes on', () => origin.arrivedAt.has(fresh[0]!.target))
    const { outcomes } = expectIdentity(await metrics())
    const closed = once(child, 'close')
    child.kill('SIGTERM')
    const [code] = await closed
    tellFigures({ 'exit code': code as number, outcomes, 'log bytes written': isMounted ? statSync(path).size : 0 })
    expect(code).toBe(0)
    mirror.close()
  })
})
